package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/storetest/port"
)

// TestPairSaysWhereAndWhat is a terminal of a vault at which people sign in: it cannot know whose
// the account becomes, so it gives an address and a code, and waits. e2e types the code.
func TestPairSaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "grantry.yaml")
	err := os.WriteFile(config, []byte(`
identity: { issuer: "http://127.0.0.1:1", client_id: grantry, client_secret: "file:`+config+`" }
connections: { mail: { provider: google, client_id: id, client_secret: "file:`+config+`" } }
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	listen := port.Get(t).Addr()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{want: "Waiting until you are done", then: cancel}
	var problems bytes.Buffer
	code := run(ctx, []string{"connect", "mail", "--no-browser", "--config", config, "--data-dir", filepath.Join(dir, "data"), "--listen", listen},
		streams{in: strings.NewReader(""), out: out, err: &problems})
	if code != exitPerson {
		t.Errorf("connect ended with %d, want %d", code, exitPerson)
	}
	for _, want := range []string{`  http://` + regexp.QuoteMeta(listen) + `/pair\n`, `█`, `\n  [B-Z]{4}-[B-Z]{4}\n`, `good until \d\d:\d\d`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	if !strings.Contains(problems.String(), "nothing serves this vault's pages") {
		t.Errorf("stderr is %s", &problems)
	}
}

// watched does something once it has been told a text.
type watched struct {
	want string
	then func()

	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.all.Write(b)
	if strings.Contains(w.all.String(), w.want) {
		time.AfterFunc(100*time.Millisecond, w.then)
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}
