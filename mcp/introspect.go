package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault/provider"
)

const (
	// introspectedFor is how long an answer counts, if its token lives so long: a token
	// that was revoked ends within it, and streams with it (R44).
	introspectedFor = 20 * time.Second
	introspectRate  = 20 // unknown tokens a second that an issuer is asked about, in the long run
	introspectBurst = 200
)

// errBusy says that too many unknown tokens came.
var errBusy = errors.New("asking issuer about token: too many unknown tokens")

// introspector asks an issuer what an opaque token is (RFC 7662).
type introspector struct {
	keys   *keySet // knows where the issuer is
	id     string
	secret provider.Secret
	asked  *rate.Limiter
}

func newIntrospector(cfg VerifierConfig, keys *keySet) *introspector {
	if cfg.ClientSecret.IsZero() || cfg.ClientID == "" {
		return nil
	}
	return &introspector{keys: keys, id: cfg.ClientID, secret: cfg.ClientSecret, asked: rate.NewLimiter(introspectRate, introspectBurst)}
}

// ask answers the claims of an active token; a *TokenError for one that is not.
func (i *introspector) ask(ctx context.Context, raw string, now time.Time) (claims, error) {
	if !i.asked.AllowN(now, 1) {
		return claims{}, errBusy
	}
	address, err := i.keys.introspection(ctx)
	if err != nil {
		return claims{}, err
	}
	payload, err := i.post(ctx, address, raw)
	if err != nil {
		return claims{}, err
	}
	c, err := readClaims(payload)
	if err != nil {
		return claims{}, errors.New("asking issuer about token: not the JSON that was expected")
	}
	if string(c.all["active"]) != "true" {
		return claims{}, &TokenError{"not active"}
	}
	return c, nil
}

func (i *introspector) post(ctx context.Context, address, raw string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	i.secret.Basic(req, i.id)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return i.keys.do(req)
}
