package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// Issuers proves access tokens of several issuers. A token that names its issuer
// is shown to that one's verifier alone; an opaque one to those who can ask about
// it, in their order.
type Issuers []*Verifier

// Verify implements TokenVerifier.
func (all Issuers) Verify(ctx context.Context, raw string) (Bearer, error) {
	if readable(raw) {
		named := issuerOf(raw)
		i := slices.IndexFunc(all, func(v *Verifier) bool { return v.cfg.Issuer == named })
		if i < 0 {
			return Bearer{}, &TokenError{"issuer"}
		}
		return all[i].Verify(ctx, raw)
	}
	var unasked error
	for _, v := range all {
		if v.opaque == nil {
			continue
		}
		b, err := v.Verify(ctx, raw)
		if err == nil {
			return b, nil
		}
		if _, bad := errors.AsType[*TokenError](err); !bad {
			unasked = errors.Join(unasked, err)
		}
	}
	if unasked != nil {
		return Bearer{}, unasked
	}
	return Bearer{}, &TokenError{"form or algorithm"}
}

// issuerOf reads who a token says that it is of. It proves nothing: it only finds who can.
func issuerOf(raw string) string {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(plain, &all) != nil {
		return ""
	}
	return claimAt(all, "iss")
}
