package mcp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/mcp"
)

// TestWhoActs: a token's client, its chain of act claims and who may act are read, and a may_act that names nobody is not none.
func TestWhoActs(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	chain := map[string]any{"sub": "gateway", "iss": "https://gw.example", "act": map[string]any{"sub": "assistant"}}
	for name, c := range map[string]struct {
		claims         map[string]any
		actors, mayAct []mcp.Party
	}{
		"nothing":       {map[string]any{}, nil, nil},
		"a chain":       {map[string]any{"act": chain}, []mcp.Party{{Issuer: "https://gw.example", Subject: "gateway"}, {Subject: "assistant"}}, nil},
		"may_act":       {map[string]any{"may_act": map[string]any{"sub": "nightly", "iss": "https://x.example"}}, nil, []mcp.Party{{Issuer: "https://x.example", Subject: "nightly"}}},
		"by client_id":  {map[string]any{"may_act": map[string]any{"client_id": "nightly"}}, nil, []mcp.Party{{Subject: "nightly"}}},
		"of wrong kind": {map[string]any{"may_act": "nightly"}, nil, []mcp.Party{}},
		"of nobody":     {map[string]any{"may_act": map[string]any{}}, nil, []mcp.Party{}},
	} {
		b, err := v.Verify(t.Context(), i.sign(draft{claims: c.claims}))
		if err != nil || b.Client == "" || len(b.Audience) == 0 {
			t.Fatalf("%s: %+v %v", name, b, err)
		}
		if diff := cmp.Diff(c.actors, b.Actors); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(c.mayAct, b.MayAct); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
