package seal

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// boxed keeps a value where fmt does not look. A struct of somebody else's that
// holds a Key in an unexported field prints without asking the Key's methods,
// and "%s" follows even pointers; a function prints as an address.
type boxed[T any] func() T

func box[T any](v T) boxed[T] { return func() T { return v } }

// String is [redacted].
func (Key) String() string { return redacted }

// Format prints [redacted] for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is [redacted].
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText answers [redacted], for JSON, YAML and the like.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode answers [redacted].
func (Key) GobEncode() ([]byte, error) { return []byte(redacted), nil }

// String is [redacted].
func (*DEK) String() string { return redacted }

// Format prints [redacted] for every verb.
func (*DEK) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is [redacted].
func (*DEK) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText answers [redacted], for JSON, YAML and the like.
func (*DEK) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode answers [redacted].
func (*DEK) GobEncode() ([]byte, error) { return []byte(redacted), nil }

// String is [redacted].
func (*Tree) String() string { return redacted }

// Format prints [redacted] for every verb.
func (*Tree) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue is [redacted].
func (*Tree) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText answers [redacted], for JSON, YAML and the like.
func (*Tree) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode answers [redacted].
func (*Tree) GobEncode() ([]byte, error) { return []byte(redacted), nil }
