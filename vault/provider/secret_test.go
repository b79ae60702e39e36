package provider_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/provider"
)

// TestSecretIsRedacted is R78: however a secret is printed, logged or encoded,
// alone or inside something, it does not show.
func TestSecretIsRedacted(t *testing.T) {
	t.Parallel()
	const value = "xoxp-top-secret"
	s := provider.NewSecret(value)
	type hidden struct {
		inner provider.Secret // fmt prints unexported fields without asking their methods
		Outer provider.Secret
		list  []provider.Secret
		named map[string]provider.Secret
	}
	h := hidden{s, s, []provider.Secret{s}, map[string]provider.Secret{"a": s}}
	c, err := provider.NewConnection(registration(t, "google", func(r *provider.Registration) { r.ClientSecret = s }), provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	things := map[string]any{
		"secret": s, "pointer": &s, "struct": h, "to struct": &h, "list": h.list, "map": h.named, "connection": c, "connection value": []any{*c},
		"grant": provider.Grant{Access: s, Refresh: s, IDToken: s}, "bearer": provider.Bearer{Token: s, Connection: c},
		"request": provider.AuthRequest{Verifier: s}, "registration": provider.Registration{ClientSecret: s},
		"redemption": &provider.Redemption{Code: s, Verifier: s}, "transport": &provider.Transport{Bearer: provider.Bearer{Token: s}},
	}
	for name, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			hides(t, name+" "+verb, fmt.Sprintf(verb, thing), value)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "thing", thing)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "thing", thing)
		hides(t, name+" slog", log.String(), value)
		if out, err := json.Marshal(thing); err == nil {
			hides(t, name+" json", string(out), value)
		}
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(s); err != nil {
		t.Error(err)
	}
	hides(t, "gob", out.String(), value)
	if got := fmt.Sprintf("%v %s %q %#v", s, s, s, s); got != strings.Repeat("[redacted] ", 3)+"[redacted]" {
		t.Errorf("prints as %s", got)
	}
}

func hides(t *testing.T, how, said, value string) {
	t.Helper()
	if strings.Contains(said, value) || strings.Contains(said, fmt.Sprintf("%x", value)) || strings.Contains(said, fmt.Sprintf("%X", value)) ||
		strings.Contains(said, strings.Trim(fmt.Sprint([]byte(value)), "[]")) {
		t.Errorf("%s shows the secret: %s", how, said)
	}
}

func TestSecretValue(t *testing.T) {
	t.Parallel()
	var zero provider.Secret
	a, b := provider.NewSecret("a"), provider.NewSecret("a")
	if !zero.IsZero() || zero.Reveal() != "" || provider.NewSecret("") != zero || a.IsZero() || a.Reveal() != "a" {
		t.Error("zero secrets")
	}
	if a != b || !a.Equal(b) || a.Equal(provider.NewSecret("b")) || a.Equal(zero) || !zero.Equal(zero) {
		t.Error("equality")
	}
}
