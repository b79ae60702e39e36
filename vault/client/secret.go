package client

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"unique"
)

const redacted = "[redacted]"

// Secret is a token or a client secret. However it is printed, logged or encoded it
// says "[redacted]"; Reveal alone gives the value. Two secrets with one value are ==.
type Secret struct {
	value unique.Handle[string] // not a string: fmt prints the unexported fields of a struct around it
}

// NewSecret wraps s; "" gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: unique.Make(s)}
}

// Fixed is a secret that does not change, for Config.Secret.
func Fixed(s string) func(context.Context) (Secret, error) {
	secret := NewSecret(s)
	return func(context.Context) (Secret, error) { return secret, nil }
}

// Reveal is the value itself, for the one request that needs it.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.value.Value()
}

// IsZero says whether there is no value.
func (s Secret) IsZero() bool { return s == Secret{} }

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
