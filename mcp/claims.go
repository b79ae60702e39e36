package mcp

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// claims are those of RFC 7519 §4.1 that are checked, and all by exact name.
type claims struct {
	issuer             string
	audience           audience
	expires, notBefore *numericDate
	all                map[string]json.RawMessage
}

// readClaims reads by exact names: a struct would take "AUD" for aud.
func readClaims(payload []byte) (c claims, err error) {
	if err := json.Unmarshal(payload, &c.all); err != nil {
		return c, err
	}
	read := func(name string, into any) {
		if raw, ok := c.all[name]; ok && err == nil {
			err = json.Unmarshal(raw, into)
		}
	}
	read("iss", &c.issuer)
	read("aud", &c.audience)
	read("exp", &c.expires)
	read("nbf", &c.notBefore)
	return c, err
}

// claimAt is a string claim by a path with dots: "act.sub" is sub within act.
func claimAt(all map[string]json.RawMessage, path string) string {
	raw, ok := all[path]
	if !ok {
		head, rest, dotted := strings.Cut(path, ".")
		var inner map[string]json.RawMessage
		if !dotted || json.Unmarshal(all[head], &inner) != nil {
			return ""
		}
		return claimAt(inner, rest)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// audience is a string or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// numericDate is seconds since 1970, maybe with a fraction (RFC 7519 §2).
type numericDate struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (d *numericDate) UnmarshalJSON(raw []byte) error {
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	if f < 0 || f > 1<<40 {
		return errors.New("date out of range")
	}
	d.Time = time.Unix(int64(f), 0)
	return nil
}
