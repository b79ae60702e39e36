package mcp

import (
	"cmp"
	"encoding/json"
)

// maxActors is how many links of a chain of act claims are read.
const maxActors = 32

// Party is one who acts, or may act, for the person of a token.
type Party struct{ Issuer, Subject string }

// actorsOf follows the chain of act claims, the current actor first.
func actorsOf(all map[string]json.RawMessage) (out []Party) {
	for len(out) < maxActors {
		var inner map[string]json.RawMessage
		if json.Unmarshal(all["act"], &inner) != nil || inner == nil {
			return out
		}
		all = inner
		out = append(out, Party{Issuer: claimAt(all, "iss"), Subject: claimAt(all, "sub")})
	}
	return out
}

// mayActOf reads may_act, whose party some issuers name by client_id.
func mayActOf(all map[string]json.RawMessage) []Party {
	raw, there := all["may_act"]
	if !there {
		return nil
	}
	out := []Party{}
	var inner map[string]json.RawMessage
	if json.Unmarshal(raw, &inner) != nil {
		return out
	}
	for _, name := range []string{"sub", "client_id"} {
		if id := claimAt(inner, name); id != "" {
			out = append(out, Party{Issuer: claimAt(inner, "iss"), Subject: id})
		}
	}
	return out
}

// clientOf is who a token was issued to, by the names that issuers have for it.
func clientOf(all map[string]json.RawMessage) string {
	return cmp.Or(claimAt(all, "client_id"), claimAt(all, "azp"), claimAt(all, "appid"), claimAt(all, "cid"))
}
