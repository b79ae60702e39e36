//go:build cloudkms

package seal_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
	"gocloud.dev/secrets/localsecrets"
)

// TestCloudLocalSecrets puts a keeper of gocloud's own behind a source.
func TestCloudLocalSecrets(t *testing.T) {
	t.Parallel()
	key, err := localsecrets.NewRandomKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := openKMS(t, "awskms://key", seal.SourceOptions{Dir: dir, OpenKeeper: func(context.Context, string) (seal.Keeper, error) {
		return localsecrets.NewKeeper(key), nil
	}})
	checkSealed(t, src, filepath.Join(dir, "keys.sealed"))
}

// transit is the part of Vault's transit engine that gocloud speaks to.
type transit struct {
	aead cipher.AEAD
	end  chan struct{}

	mu    sync.Mutex
	calls []string
}

func newTransit(t *testing.T) (*transit, string) {
	t.Helper()
	block, err := aes.NewCipher([]byte("a key that never leaves this kms"))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	v := &transit{aead: aead, end: make(chan struct{})}
	srv := httptest.NewServer(v)
	t.Cleanup(func() {
		close(v.end)
		srv.Close()
	})
	return v, srv.URL
}

func (v *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.calls = append(v.calls, r.Method+" "+r.URL.Path)
	v.mu.Unlock()
	var in struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case r.Header.Get("X-Vault-Token") != "s.token":
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":["hunter2 denied"]}`))
	case strings.HasSuffix(r.URL.Path, "/encrypt/odd"):
		_, _ = w.Write([]byte(`{"data":{"ciphertext":7}}`))
	case strings.HasSuffix(r.URL.Path, "/encrypt/slow"):
		<-v.end
	case strings.HasSuffix(r.URL.Path, "/encrypt/grantry"):
		answer(w, "ciphertext", "vault:v1:"+base64.StdEncoding.EncodeToString(v.aead.Seal(nil, nil, in.Plaintext, nil)))
	case strings.HasSuffix(r.URL.Path, "/decrypt/grantry"):
		sealed, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		plain, err := v.aead.Open(nil, nil, sealed, nil)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"errors":["hunter2 does not open"]}`))
			return
		}
		answer(w, "plaintext", base64.StdEncoding.EncodeToString(plain))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func answer(w http.ResponseWriter, name, value string) {
	_ = json.NewEncoder(w).Encode(map[string]map[string]string{"data": {name: value}})
}

// TestCloudVault speaks to Vault's transit engine over HTTP. gocloud reads server
// and token once in a process, so this is one test.
func TestCloudVault(t *testing.T) {
	vault, url := newTransit(t)
	t.Setenv("VAULT_ADDR", url)
	t.Setenv("VAULT_TOKEN", "s.token")
	dir := t.TempDir()
	src := openKMS(t, "hashivault://grantry", seal.SourceOptions{Dir: dir})
	checkSealed(t, src, filepath.Join(dir, "keys.sealed"))

	vault.calls = nil
	again := openKMS(t, "hashivault://grantry", seal.SourceOptions{Dir: dir})
	for range 2 {
		if diff := cmp.Diff(keyIDs(t, src), keyIDs(t, again)); diff != "" {
			t.Errorf("opened again (-first +again):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"PUT /v1/transit/decrypt/grantry", "PUT /v1/transit/decrypt/grantry"}, vault.calls); diff != "" {
		t.Errorf("what Vault was asked for two lines (-want +got):\n%s", diff)
	}

	writeFile(t, filepath.Join(dir, "bad"), base64.StdEncoding.EncodeToString([]byte("vault:v1:AAAA"))+"\n")
	_, err := openKMS(t, "hashivault://grantry?file=bad", seal.SourceOptions{Dir: dir}).Keys(t.Context())
	wantError(t, "a line of another key", err, "status 400")
	err = openKMS(t, "hashivault://odd?file=odd", seal.SourceOptions{Dir: dir}).(seal.Creator).Create(t.Context())
	wantError(t, "an answer of another type", err, "answered nothing that can be read")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = openKMS(t, "hashivault://slow?file=slow", seal.SourceOptions{Dir: dir}).(seal.Creator).Create(ctx)
	wantError(t, "no answer", err, context.DeadlineExceeded.Error())
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: %v, want %q and nothing of the KMS's own words", what, err, want)
	}
}

// TestCloudVaultFIPS runs the source in processes of their own: in FIPS mode, with
// a token that Vault refuses, and with a server that is not there.
func TestCloudVaultFIPS(t *testing.T) {
	t.Parallel()
	_, url := newTransit(t)
	for name, test := range map[string]struct{ url, token, want string }{
		"fips":        {url, "s.token", ""},
		"wrong token": {url, "s.other", "status 403"},
		"no server":   {"http://127.0.0.1:1", "s.token", "cannot be reached"},
	} {
		ref := "hashivault://grantry?file=" + filepath.Join(t.TempDir(), "sealed")
		out, err := runChild(t, "source", ref, "GODEBUG=fips140=only", "VAULT_ADDR="+test.url, "VAULT_TOKEN="+test.token, "VAULT_MAX_RETRIES=0")
		if (test.want == "") != (err == nil) || !strings.Contains(string(out), test.want) || strings.Contains(string(out), "hunter2") {
			t.Errorf("%s: %v\n%s\nwant %q", name, err, out, test.want)
		}
	}
}

// TestCloudSchemes opens a key of each cloud without asking it anything.
func TestCloudSchemes(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{
		"awskms://alias/grantry?region=eu-west-1", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
		"azurekeyvault://v.vault.azure.net/keys/k", "hashivault://k",
	} {
		src := openKMS(t, ref, seal.SourceOptions{Dir: t.TempDir()})
		if want, _, _ := strings.Cut(ref, "?"); src.String() != want {
			t.Errorf("String = %q, want %q", src, want)
		}
	}
}
