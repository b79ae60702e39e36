package assertion

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are the signatures that an assertion may have. HS* and none are not among them: nothing is made with what we know, too.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

// Claims are those of RFC 7523 §3, and of the assertions that name a person.
type Claims struct {
	Issuer    string
	Subject   string
	SubjectID SubjectID
	Audience  []string
	Expires   time.Time // zero = not said, as the next two
	NotBefore time.Time
	Issued    time.Time
	ID        string
	Context   string // audit_context
}

// SubjectID names a person by issuer and subject (RFC 9493 §3.2.4, format "iss_sub").
type SubjectID struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

type audience []string

// UnmarshalJSON takes one string or several (RFC 7519 §4.1.3).
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// date is a NumericDate (RFC 7519 §2), within what a clock can say.
type date struct{ time.Time }

// UnmarshalJSON takes a number of seconds; 0 and less say nothing.
func (d *date) UnmarshalJSON(raw []byte) error {
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return err
	}
	if seconds > 0 {
		d.Time = time.Unix(int64(min(seconds, 1<<40)), 0)
	}
	return nil
}

// read takes claims by exact names, each once: a struct would take "SUB" for sub, and the last of two.
func read(payload []byte) (c Claims, err error) {
	var expires, notBefore, issued date
	into := map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "sub_id": &c.SubjectID, "aud": (*audience)(&c.Audience), "exp": &expires,
		"nbf": &notBefore, "iat": &issued, "jti": &c.ID, "audit_context": &c.Context,
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return c, errors.New("reading assertion: not an object")
	}
	for seen := map[string]bool{}; d.More(); {
		t, err := d.Token()
		name, _ := t.(string)
		if err != nil {
			return c, errors.New("reading assertion: not JSON")
		}
		target, known := into[name]
		switch {
		case known && seen[name]:
			return c, errors.New("reading assertion: a claim twice")
		case !known:
			target = new(json.RawMessage)
		}
		seen[name] = true
		if err := d.Decode(target); err != nil {
			return c, errors.New("reading assertion: a claim of the wrong kind")
		}
	}
	_, err = d.Token()
	c.Expires, c.NotBefore, c.Issued = expires.Time, notBefore.Time, issued.Time
	return c, err
}

// Unproved reads who an assertion says that it is of. It proves nothing: it only finds whose keys can. "" = that cannot be read.
func Unproved(raw string) (subject string) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	c, err := read(plain)
	if err != nil {
		return ""
	}
	return c.Subject
}

// Signed answers what an assertion says and its typ, in lower case and without
// "application/", if one of these keys signed it; a *RefusedError, if none did. Any other error says that the keys cannot be had.
func Signed(ctx context.Context, keys KeySource, raw string) (c Claims, typ string, err error) {
	jws, err := jose.ParseSignedCompact(raw, Algorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return c, "", refused("it must be a compact JWT, signed with RS256, PS256, ES256 or EdDSA")
	}
	header := jws.Signatures[0].Protected
	all, err := keys.Keys(ctx, header.KeyID)
	if err != nil {
		return c, "", err
	}
	for _, key := range all {
		if !usable(key, header) {
			continue
		}
		payload, err := jws.Verify(key.Key)
		if err != nil {
			continue
		}
		if c, err = read(payload); err != nil {
			return c, "", refused("its claims cannot be read")
		}
		typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
		return c, strings.TrimPrefix(strings.ToLower(typ), "application/"), nil
	}
	return c, "", refused("no key of this client made its signature")
}

// usable says whether a key may have made a signature of that header: public, for signing, of that id and algorithm.
func usable(key jose.JSONWebKey, header jose.Header) bool {
	return key.Valid() && key.IsPublic() && key.Use != "enc" && (header.KeyID == "" || key.KeyID == header.KeyID) &&
		(key.Algorithm == "" || key.Algorithm == header.Algorithm)
}
