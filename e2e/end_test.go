package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// onlyMCP fails the test when a stdio process has printed anything but messages of the protocol.
func (p *process) onlyMCP(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.stdout {
		var m struct {
			Version string `json:"jsonrpc"`
		}
		if json.Unmarshal([]byte(line), &m) != nil || m.Version != "2.0" {
			t.Errorf("stdout holds %q", line)
		}
	}
}

// TestR45EndWaitsForTheRefresh: the client goes while a refresh token is being
// spent; the process ends only when its successor is stored, so the next one goes on with it.
func TestR45EndWaitsForTheRefresh(t *testing.T) {
	t.Parallel()
	r := startRotating(t, 3600)
	p := r.home.start(t, "stdio", "--no-browser", "--agent", "refresher")
	p.exchange(t, initializeRequest())
	events := func(id int) map[string]any { return legacyCall(id, "calendar_list_events", map[string]any{}) }
	newBrowser(t).consent(p.exchange(t, events(1)).link(t), "alice")
	wantEvents(t, p.exchange(t, events(2)))

	before := len(r.google.exchanges("/calendar/v3"))
	r.google.inject(fault{
		Path: "/calendar/v3", Status: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}},
		Body: `{"error":{"code":401,"message":"Invalid Credentials","status":"UNAUTHENTICATED"}}`,
	})
	r.tokens.inject(fault{Path: "/token", Delay: 4 * time.Second})
	p.write(t, events(3))
	eventually(t, patience, "the refusal that asks for a refresh", func() bool { return len(r.google.exchanges("/calendar/v3")) > before })
	time.Sleep(time.Second) // the refresh is under way, and waits at the token endpoint
	p.stdin.Close()
	if code := p.wait(t, patience); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	p.onlyMCP(t)
	r.wantHealthyFamily(t, 1)

	next := r.home.start(t, "stdio", "--no-browser", "--agent", "refresher")
	next.exchange(t, initializeRequest())
	wantEvents(t, next.exchange(t, events(1)))
	r.wantHealthyFamily(t, 1)
	next.onlyMCP(t)
}

// TestProbesAreServedFast: a client may start the program twice, once only to ask
// which era it speaks. Neither waits for a vault or its key, here one that takes long to come.
func TestProbesAreServedFast(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	script := filepath.Join(h.Dir, "key.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 60\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	h.Config = filepath.Join(h.Dir, "grantry.yaml")
	writeFile(t, h.Config, fmt.Sprintf("keys: { source: \"exec:%s\" }\n", script))
	discover := map[string]any{"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": map[string]any{"_meta": map[string]any{
		"io.modelcontextprotocol/protocolVersion": revision, "io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}}}
	binary(t)
	started := time.Now()
	probe, stays := h.start(t, "stdio", "--no-browser", "--listen", "127.0.0.1:0"), h.start(t, "stdio", "--no-browser", "--listen", "127.0.0.1:0")
	for _, p := range []*process{probe, stays} {
		if a := p.exchange(t, discover); a.Error != nil {
			t.Errorf("server/discover answered %s", a.show())
		}
	}
	probe.kill()
	list := map[string]any{"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": discover["params"]}
	if a := stays.exchange(t, list); a.Error != nil {
		t.Errorf("tools/list answered %s", a.show())
	}
	within(t, started, 30*time.Second, "two processes and a list of tools, with a key that takes a minute")
	stays.onlyMCP(t)
	stays.kill()
}
