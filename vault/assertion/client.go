package assertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// Leeway is how far two clocks may be apart.
	Leeway = 30 * time.Second

	clientLife = 5 * time.Minute // at most
	maxID      = 256
	kind       = "assertion" // of the records of used ids
)

// RefusedError says why an assertion proves nothing. It holds a sentence for the developer of the client, and nothing of the assertion.
type RefusedError struct {
	Why      string
	Replayed bool
}

// Error says why.
func (e *RefusedError) Error() string { return "assertion refused: " + e.Why }

func refused(why string) *RefusedError { return &RefusedError{Why: why} }

// Records keep which assertions have been used.
type Records interface {
	Change(ctx context.Context, kind, handle string, fn func(old []byte) ([]byte, time.Duration, error)) error
}

// ErrRecords says that it could not be written down that an assertion was used.
var ErrRecords = errors.New("noting the use of an assertion")

// Client proves a client by its assertion (RFC 7523 §3): signed by a key of its own,
// for one of the audiences, for five minutes at most, and not used before. Its
// errors are *RefusedError, ErrRecords, and whatever keeps the keys from being had.
func Client(ctx context.Context, records Records, now time.Time, id string, keys KeySource, audiences []string, raw string) error {
	c, typ, err := Signed(ctx, keys, raw)
	if err != nil {
		return err
	}
	if bad := badClient(c, typ, id, audiences, now); bad != "" {
		return refused(bad)
	}
	return Once(ctx, records, "client", id, c.ID, c.Expires.Add(Leeway).Sub(now))
}

func badClient(c Claims, typ, id string, audiences []string, now time.Time) string {
	foreign := func(a string) bool { return !slices.Contains(audiences, a) }
	switch {
	case typ != "" && typ != "jwt" && typ != "client-authentication+jwt":
		return "its typ is that of another kind of token"
	case c.Issuer != id || c.Subject != id:
		return "iss and sub must be the client id"
	case len(c.Audience) == 0 || slices.ContainsFunc(c.Audience, foreign):
		return "aud must be the token endpoint or the issuer, and nobody else"
	case c.Expires.IsZero() || !now.Before(c.Expires.Add(Leeway)):
		return "it has no exp, or is over"
	case c.Expires.After(now.Add(clientLife + Leeway)):
		return "it lives longer than five minutes"
	case c.Early(now):
		return "it is not valid yet"
	case !c.Named():
		return "it needs a jti of at most 256 characters"
	}
	return ""
}

// Early says whether nbf or iat lie ahead.
func (c Claims) Early(now time.Time) bool {
	return c.NotBefore.After(now.Add(Leeway)) || c.Issued.After(now.Add(Leeway))
}

// Named says whether there is a jti by which a second use shows.
func (c Claims) Named() bool { return c.ID != "" && len(c.ID) <= maxID }

// Once notes that a client used an id for something, and keeps the note for that long. A second use is a *RefusedError with Replayed.
func Once(ctx context.Context, records Records, use, client, id string, keep time.Duration) error {
	again := refused("it has been used before")
	again.Replayed = true
	err := records.Change(ctx, kind, use+"\x00"+client+"\x00"+id, func(old []byte) ([]byte, time.Duration, error) {
		if old != nil {
			return nil, 0, again
		}
		return []byte{1}, max(keep, time.Second), nil
	})
	if err == nil || errors.Is(err, again) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRecords, err)
}
