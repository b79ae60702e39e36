package assertion_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault/assertion"
)

// TestURLKeys: an unknown id has them fetched again, at most once a minute; they serve while their address is down, and redirects are not followed.
func TestURLKeys(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var fetches atomic.Int64
	var status atomic.Int64
	status.Store(http.StatusOK)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}})
	}))
	t.Cleanup(srv.Close)
	now := time.Now()
	keys := assertion.URLKeys(srv.URL, srv.Client(), func() time.Time { return now })
	ask := func(id string, want int64, wantErr bool) {
		t.Helper()
		got, err := keys.Keys(t.Context(), id)
		if (err != nil) != wantErr || !wantErr && len(got) != 1 || fetches.Load() != want {
			t.Errorf("%q: %d keys, %v, %d fetches; want %d", id, len(got), err, fetches.Load(), want)
		}
	}
	ask("k1", 1, false)
	for range 5 {
		ask("k2", 1, false)
	}
	now = now.Add(61 * time.Second)
	ask("k2", 2, false)
	ask("k2", 2, false)
	status.Store(http.StatusFound)
	now = now.Add(time.Hour)
	ask("k1", 3, false)
	now = now.Add(24 * time.Hour)
	ask("k1", 4, true)
}

// TestReadKeys takes public signing keys alone, and is not put off by what it does not know.
func TestReadKeys(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k2"})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct {
		set  string
		want int
	}{
		"one among others": {`{"keys":[{"kty":"oct","k":"c2VjcmV0"},{"kty":"new"},` + string(private) + `,` + string(public) + `,{"use":"enc",` + string(public[1:]) + `]}`, 1},
		"a private one":    {`{"keys":[` + string(private) + `]}`, 0},
		"a symmetric one":  {`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, 0},
		"none":             {`{}`, 0}, "no JSON": {`keys`, 0}, "a list": {`[]`, 0},
	} {
		if keys, err := assertion.ReadKeys([]byte(v.set)); len(keys) != v.want || (err == nil) != (v.want > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	if _, err := assertion.ReadKeys(make([]byte, assertion.MaxKeys+1)); err == nil {
		t.Error("a set of any size is read")
	}
}
