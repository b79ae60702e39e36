package e2e_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	hostileWord = "x\r\nForged: yes\nlevel=ERROR msg=forged\x00\u2028y"
	hostilePath = "x%0d%0aForged:%20yes%0d%0a%0d%0a%00y"
)

// R69: whatever holds line breaks or NUL, no header and no line of the log is
// begun by it. Every door of the program gets some, and its log is read.
func TestR69LineBreaks(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := startSandbox(t, "--log-level", "debug", "--log-format", format)
			s.saysHostileWords(t)
			s.opensHostilePaths(t)
			if code := s.stop(t); code != 0 {
				t.Errorf("serve ended with %d", code)
			}
			begins := map[string]string{"text": "time=", "json": `{"time":`}[format]
			lines := strings.Split(s.errors(), "\n")
			for _, line := range lines {
				if line != "" && !strings.HasPrefix(line, begins) || strings.ContainsAny(line, "\x00\r") {
					t.Errorf("a line of the log was begun from outside, or holds a control character: %q", line)
				}
			}
			if !strings.Contains(s.errors(), "token refused") {
				t.Errorf("the log does not tell of the refused tokens: %q", lines)
			}
		})
	}
}

// saysHostileWords names agents, tools, arguments and clients so.
func (s *sandbox) saysHostileWords(t *testing.T) {
	t.Helper()
	r := newRaw(t, s.MCP, s.token(t, "alice", "agent "+hostileWord))
	hello := initializeRequest()
	hello["params"].(map[string]any)["clientInfo"] = map[string]any{"name": hostileWord, "version": hostileWord}
	r.session = r.post(t, marshal(t, hello), nil).Header.Get("Mcp-Session-Id")
	r.legacy(t, "no_tool "+hostileWord, map[string]any{})
	r.legacy(t, "calendar_list_events", map[string]any{"query": hostileWord, "account": hostileWord})
	r.legacy(t, "connections_connect", map[string]any{"connection": hostileWord})
	r.post(t, marshal(t, map[string]any{"jsonrpc": "2.0", "id": 1, "method": "no/" + hostileWord, "params": map[string]any{}}), nil)
	sum := sha256.Sum256([]byte(hostileWord))
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + hostilePath + `\r\n"}`))
	for _, token := range []string{hostilePath, forged + ".e30." + base64.RawURLEncoding.EncodeToString(sum[:])} {
		if w := newRaw(t, s.MCP, token).post(t, marshal(t, hello), nil); w.Status != http.StatusUnauthorized {
			t.Errorf("a made-up token answered %d", w.Status)
		}
	}
	for _, body := range []string{
		url.Values{"grant_type": {hostileWord}, "client_id": {hostileWord}, "scope": {hostileWord}}.Encode(),
		marshal(t, map[string]any{"grant_type": hostileWord, hostileWord: hostileWord}),
	} {
		resp, err := http.Post(s.Base+"/oauth/token", "application/x-www-form-urlencoded", strings.NewReader(body)) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

// opensHostilePaths reads the answers as they are on the wire: a client would hide a header that was split.
func (s *sandbox) opensHostilePaths(t *testing.T) {
	t.Helper()
	for _, path := range []string{
		"/consent/" + hostilePath, "/callback/" + hostilePath, "/callback/google?state=" + hostilePath + "&code=" + hostilePath + "&error=" + hostilePath,
		"/signin?return=" + hostilePath, "/signin/" + hostilePath, "/signin/callback?state=" + hostilePath + "&iss=" + hostilePath, "/pair?code=" + hostilePath,
		"/connections?" + hostilePath, "/activity?cursor=" + hostilePath, "/agents?x=" + hostilePath, "/" + hostilePath,
		"/.well-known/oauth-protected-resource/" + hostilePath, "/oauth/authorize?client_id=" + hostilePath + "&redirect_uri=" + hostilePath + "&state=" + hostilePath,
		"/mcp?access_token=" + hostilePath, "/assets/" + hostilePath,
	} {
		for _, cookie := range []string{"", "grantry=" + hostilePath} {
			for _, line := range s.rawHeaders(t, path, cookie) {
				if strings.HasPrefix(strings.ToLower(line), "forged") || strings.ContainsAny(line, "\x00\r\n") {
					t.Errorf("GET %s: a header was begun from outside: %q", path, line)
				}
			}
		}
	}
}

// rawHeaders are the lines of an answer's head, split at CR LF only.
func (s *sandbox) rawHeaders(t *testing.T, path, cookie string) []string {
	t.Helper()
	host := strings.TrimPrefix(s.Base, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nConnection: close\r\n\r\n", path, host, cookie)
	var head []string
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		for err == nil && !strings.HasSuffix(line, "\r\n") {
			var more string
			more, err = in.ReadString('\n')
			line += more
		}
		if err != nil {
			t.Fatalf("GET %s: %v after %q", path, err, head)
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return head
		}
		head = append(head, line)
	}
}
