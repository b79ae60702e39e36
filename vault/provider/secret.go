package provider

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"unique"
)

const redacted = "[redacted]"

// Secret is a token, code, verifier or client secret. However it is printed,
// logged or encoded it says "[redacted]"; Reveal alone gives the value, and a
// test lists who may call it (R78). The value stands behind a handle and not in
// a string field, because fmt prints unexported fields of a struct around it
// without asking any method. Two secrets with one value are ==.
type Secret struct{ value unique.Handle[string] }

// NewSecret wraps s; "" gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: unique.Make(s)}
}

// Reveal is the value itself, for the one request or sealed row that needs it.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.value.Value()
}

// Basic proves a client to the endpoint of req, which must be its issuer's: id and
// secret in the Authorization header, each form-encoded first (RFC 6749 §2.3.1).
func (s Secret) Basic(req *http.Request, id string) {
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(s.Reveal()))
}

// IsZero says whether there is no value.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal compares two secrets in constant time.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String says "[redacted]".
func (Secret) String() string { return redacted }

// GoString says "[redacted]".
func (Secret) GoString() string { return redacted }

// Format says "[redacted]" for every verb.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue says "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON says "[redacted]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText says "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode says "[redacted]".
func (Secret) GobEncode() ([]byte, error) { return []byte(redacted), nil }
