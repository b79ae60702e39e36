package consent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindSignInCode = "signin-code" // by the code: a codeSignIn
	kindSignInLink = "signin-link" // by the link's last part: the code

	// SignInCodeTTL is how long a code and its link let a browser in.
	SignInCodeTTL = 5 * time.Minute
	// codeSession is how long a browser stays signed in that was let in by a code, from its last use on.
	codeSession = 30 * 24 * time.Hour
)

// SignInCode lets one browser into a vault of one person: by its link, or by the
// code typed into the page that waits in that browser.
type SignInCode struct {
	Code    string // "BCDF-GHJK"; small letters and a missing dash count, too
	Path    string // of the link, after the vault's public URL: "/signin/…"
	Expires time.Time
}

// codeSignIn is whom a code signs in.
type codeSignIn struct {
	Person vault.Person `json:"person"`
}

// NewSignInCode makes a code with its link for who, the one person of a local
// vault. Either works once, and the other no more after it, for SignInCodeTTL.
// Whoever has it is that person here: show it to their terminal only.
func NewSignInCode(ctx context.Context, keys Keys, records Records, who vault.Person) (SignInCode, error) {
	code, err := newCode(rand.Reader)
	if err != nil {
		return SignInCode{}, err
	}
	link, err := randomFrom(rand.Reader)
	if err != nil {
		return SignInCode{}, err
	}
	value, err := json.Marshal(codeSignIn{Person: who})
	if err != nil {
		return SignInCode{}, fmt.Errorf("encoding sign-in code: %w", err)
	}
	if err := records.Put(ctx, kindSignInCode, codeHandle(keys, kindSignInCode, code), who.Caller, value, SignInCodeTTL); err != nil {
		return SignInCode{}, fmt.Errorf("storing sign-in code: %w", err)
	}
	if err := records.Put(ctx, kindSignInLink, link, who.Caller, []byte(code), SignInCodeTTL); err != nil {
		return SignInCode{}, fmt.Errorf("storing sign-in link: %w", err)
	}
	return SignInCode{Code: code, Path: "/signin/" + link, Expires: time.Now().Add(SignInCodeTTL)}, nil
}

// takeCode answers whom a code signs in, once; vault.ErrNotFound for one that is wrong, over, or not for the person of this vault.
func (h *Handler) takeCode(ctx context.Context, code string) (vault.Person, error) {
	var s codeSignIn
	if err := h.takeJSON(ctx, kindSignInCode, codeHandle(h.cfg.Vault, kindSignInCode, code), &s); err != nil {
		return vault.Person{}, err
	}
	if s.Person.Caller != h.cfg.Local.Caller {
		return vault.Person{}, vault.ErrNotFound
	}
	return *h.cfg.Local, nil
}

// takeLink is takeCode by the link's last part.
func (h *Handler) takeLink(ctx context.Context, link string) (vault.Person, error) {
	code, err := h.cfg.Records.Take(ctx, kindSignInLink, link)
	if err != nil {
		return vault.Person{}, err
	}
	return h.takeCode(ctx, string(code))
}

// linkLives says whether a link may still be taken. Looking changes nothing.
func (h *Handler) linkLives(ctx context.Context, link string) (bool, error) {
	code, err := h.cfg.Records.Get(ctx, kindSignInLink, link)
	if err == nil {
		_, err = h.cfg.Records.Get(ctx, kindSignInCode, codeHandle(h.cfg.Vault, kindSignInCode, string(code)))
	}
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
