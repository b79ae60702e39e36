package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

// fetched is what Node says of an address.
type fetched struct {
	Status int
	Text   string
	Code   string // of the error
}

func nodeFetches(t *testing.T, url string, env ...string) (out fetched) {
	t.Helper()
	line, _ := scriptWith(t, "fetch.mjs", map[string]string{"url": url}, env...).line(t, 0, patience, func(string) bool { return true })
	unmarshal(t, line, &out)
	return out
}

// trusting is a Go client that trusts the authority in a file, as the hint of --tls-dev says; "" = what the system trusts.
func trusting(t *testing.T, ca, serverName string) *http.Client {
	t.Helper()
	cfg := &tls.Config{}
	if ca != "" {
		cfg = trusted(t, ca)
	}
	cfg.ServerName = serverName
	transport := &http.Transport{TLSClientConfig: cfg}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func fetch(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s answered %d %s", url, resp.StatusCode, text)
	}
	return string(text), err
}

// TestTLSDev starts the program with --tls-dev. Node and Go trust it when they are told to, and for
// its own names only; a second start has the same authority.
func TestTLSDev(t *testing.T) {
	t.Parallel()
	h, ca := newHome(t, ""), ""
	var clients []*http.Client
	for range 2 {
		s := h.sandbox(t, "--tls-dev")
		ca = filepath.Join(h.data(), "sandbox", "tls", "ca.pem")
		if !strings.HasPrefix(s.MCP, "https://127.0.0.1:") {
			t.Fatalf("MCP is at %s", s.MCP)
		}
		clients = append(clients, trusting(t, ca, ""))
		_, at, _ := net.SplitHostPort(strings.TrimPrefix(s.Base, "https://"))
		for _, c := range clients { // also the one that was told before the restart
			for _, host := range []string{"localhost", "127.0.0.1"} {
				got, err := fetch(t, c, "https://"+host+":"+at+"/.well-known/oauth-protected-resource")
				if err != nil || !strings.Contains(got, `"`+s.MCP+`"`) {
					t.Errorf("Go fetches %s from %s: %v", got, host, err)
				}
			}
		}
		if _, err := fetch(t, trusting(t, "", ""), s.Base+"/healthz"); !errors.As(err, new(x509.UnknownAuthorityError)) {
			t.Errorf("Go that was told nothing: %v", err)
		}
		if _, err := fetch(t, trusting(t, ca, "grantry.example.com"), s.Base+"/healthz"); !errors.As(err, new(x509.HostnameError)) {
			t.Errorf("under another name: %v", err)
		}
		if got := nodeFetches(t, "https://localhost:"+at+"/healthz", "NODE_EXTRA_CA_CERTS="+ca); got.Status != http.StatusOK || got.Text != "ok\n" {
			t.Errorf("Node that was told: %+v", got)
		}
		if got := nodeFetches(t, "https://localhost:"+at+"/healthz"); got.Code != "UNABLE_TO_VERIFY_LEAF_SIGNATURE" {
			t.Errorf("Node that was told nothing: %+v", got)
		}
		for _, hint := range []string{"NODE_EXTRA_CA_CERTS=", "SSL_CERT_FILE=", "REQUESTS_CA_BUNDLE=", "--cacert "} {
			eventually(t, patience, "the hint "+hint, func() bool { return strings.Contains(s.errors(), hint+ca) })
			if strings.Contains(strings.TrimSuffix(s.output(), s.errors()), hint) {
				t.Errorf("%s is on stdout", hint)
			}
		}
		if code := s.stop(t); code != 0 {
			t.Errorf("it ended with %d", code)
		}
	}
}

// TestTLSDevAndOtherProcesses: another process of the vault finds the pages, though only the server was told of https.
func TestTLSDevAndOtherProcesses(t *testing.T) {
	t.Parallel()
	h, addr := newHome(t, ""), port.Get(t).Addr()
	s := h.serve(t, "--tls-dev", "--listen", addr)
	out, errs, code := h.run(t, "signin", "--listen", addr)
	if code != 0 || !strings.Contains(out, "https://"+addr+"/signin/") || strings.Contains(errs, "nothing serves") {
		t.Errorf("signin beside --tls-dev (%d): %s%s", code, out, errs)
	}
	s.stop(t)
	if out, errs, _ = h.run(t, "signin", "--listen", addr); !strings.Contains(out, "http://"+addr+"/signin/") || !strings.Contains(errs, "nothing serves") {
		t.Errorf("signin without a server: %s%s", out, errs)
	}
}

// TestTLSDevAtLocalhost has the public_url that clients use which take a domain and no address.
func TestTLSDevAtLocalhost(t *testing.T) {
	t.Parallel()
	held := port.Get(t)
	base := "https://localhost:" + held.Port
	h := newHome(t, "public_url: "+base+"\n")
	s := h.serve(t, "--tls-dev", "--listen", held.Addr())
	if s.Base != base {
		t.Fatalf("MCP is at %s", s.MCP)
	}
	ca := filepath.Join(h.data(), "tls", "ca.pem")
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		got, err := fetch(t, trusting(t, ca, ""), base+path)
		if err != nil || !strings.Contains(got, `"issuer":"`+base+`"`) {
			t.Errorf("%s answers %s (%v)", path, got, err)
		}
	}
	for name, mode := range map[string]os.FileMode{"ca-key.pem": 0o600, "server.pem": 0o600, "": 0o700} {
		info, err := os.Stat(filepath.Join(h.data(), "tls", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v", name, info.Mode())
		}
	}
	if strings.Contains(s.errors(), "speaks http") {
		t.Error("it warns of plain http, and serves https")
	}
	s.stop(t)
	plain := h.serve(t, "--listen", held.Addr())
	eventually(t, patience, "the warning", func() bool { return strings.Contains(plain.errors(), "start it with --tls-dev") })
}
