package bench_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

const (
	publicURL = "https://vault.example.com"
	issuerURL = "https://idp.example.com"
	workload  = "nightly"
)

// subjects are access tokens of the callers, and who verifies them: mcp's verifier, as in the program.
type subjects struct {
	*mcp.Verifier
	raw []string
}

func newSubjects(b *testing.B) *subjects {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	s := new(subjects)
	s.Verifier, err = mcp.NewVerifier(mcp.VerifierConfig{
		Issuer: issuerURL, Audiences: []string{publicURL + "/"},
		Keys: func(context.Context, string) ([]jose.JSONWebKey, error) {
			return []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k"))
	if err != nil {
		b.Fatal(err)
	}
	for i := range callers {
		claims, err := json.Marshal(map[string]any{"iss": issuerURL, "sub": caller(i).Subject, "aud": publicURL + "/", "client_id": "spa", "jti": rand.Text(), "exp": time.Now().Add(time.Hour).Unix()})
		if err != nil {
			b.Fatal(err)
		}
		jws, err := signer.Sign(claims)
		if err != nil {
			b.Fatal(err)
		}
		raw, err := jws.CompactSerialize()
		if err != nil {
			b.Fatal(err)
		}
		s.raw = append(s.raw, raw)
	}
	return s
}

// Verify implements sts.Verifier. The callers of these benchmarks are of one local issuer.
func (s *subjects) Verify(ctx context.Context, raw string) (sts.Subject, error) {
	t, err := s.Verifier.Verify(ctx, raw)
	t.Person.Issuer = caller(0).Issuer
	return sts.Subject{Person: t.Person, ID: t.ID, Client: t.Client, Audience: t.Audience}, err
}

// form is an exchange of a caller's.
func (s *subjects) form(i int) url.Values {
	return url.Values{
		"grant_type": {sts.GrantType}, "client_id": {workload}, "client_secret": {"the-secret-of-the-workload"}, "connection": {"files"},
		"scope": {"files.read"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "subject_token": {s.raw[i]},
	}
}

// let opens each caller's account to the workload, by the link that its first exchange gets.
func (w *world) let(b *testing.B, s *sts.Server, all *subjects) {
	b.Helper()
	for i := range callers {
		out := httptest.NewRecorder()
		s.Exchange(out, httptest.NewRequest(http.MethodPost, sts.TokenPath, nil), all.form(i))
		var refused struct {
			Link string `json:"consent_uri"`
		}
		if err := json.Unmarshal(out.Body.Bytes(), &refused); err != nil || refused.Link == "" {
			b.Fatalf("%v %s", err, out.Body)
		}
		if _, err := w.Allow(b.Context(), vault.Answer{Handle: strings.TrimPrefix(refused.Link, publicURL+"/consent/"), Person: caller(i), Session: "s"}); err != nil {
			b.Fatal(err)
		}
	}
}

// wire is one connection that sends the same request again and again, and reads
// no more of the answers than it must: the machine is to serve, and not to ask.
type wire struct {
	net.Conn
	in      *bufio.Reader
	request []byte
}

func dial(b *testing.B, at string, form url.Values) *wire {
	b.Helper()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", at)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	body := form.Encode()
	return &wire{Conn: conn, in: bufio.NewReader(conn), request: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", sts.TokenPath, at, len(body), body)}
}

var errStatus = errors.New("the answer is no 200")

func (w *wire) send() error {
	if _, err := w.Write(w.request); err != nil {
		return err
	}
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "HTTP/1.1 200 ") {
		return errStatus
	}
	length := 0
	for {
		line, err = w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if n, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if _, err := fmt.Sscan(n, &length); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, w.in, int64(length))
	return err
}

// listen serves a handler on loopback, as the program's listener would.
func listen(b *testing.B, h http.HandlerFunc) string {
	b.Helper()
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// BenchmarkTokenEndpoint exchanges on 16 connections, each a user's: HTTP, the form, the workload's proof, the subject token,
// policy, the vault with its audit entry, the answer. In the same run a handler that reads the form and answers a
// constant of the same size; "share" is the one's throughput over the other's.
func BenchmarkTokenEndpoint(b *testing.B) {
	w := newWorld(b)
	all := newSubjects(b)
	s, err := sts.New(sts.Config{
		Vault: w.Vault, Records: w.Records(), Connection: w.Connection, PublicURL: publicURL, Verifier: all,
		Workloads: map[string]sts.Workload{workload: {Secret: provider.NewSecret("the-secret-of-the-workload"), Connections: map[string][]string{"files": {"files.read"}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	w.let(b, s, all)
	answer := []byte(`{"access_token":"user12~a1234","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3570,"scope":"files.read"}` + "\n")
	handlers := map[string]http.HandlerFunc{
		"constant": func(w http.ResponseWriter, r *http.Request) {
			if _, err := sts.ReadForm(w, r); err != nil {
				return
			}
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "no-store")
			_, _ = w.Write(answer)
		},
		"exchange": func(w http.ResponseWriter, r *http.Request) {
			if form, err := sts.ReadForm(w, r); err == nil {
				s.Exchange(w, r, form)
			}
		},
	}
	var constant float64
	for _, name := range []string{"constant", "exchange"} {
		b.Run(name, func(b *testing.B) {
			at := listen(b, handlers[name])
			wires := make([]*wire, callers)
			for i := range wires {
				wires[i] = dial(b, at, all.form(i))
			}
			run(b, func(i int) error { return wires[i].send() })
			rate := float64(b.N) / b.Elapsed().Seconds()
			if name == "constant" {
				constant = rate
			} else {
				b.ReportMetric(rate/constant, "share")
			}
		})
	}
}
