package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/grantry/grantry/vault"
)

// Why a sign-in made no session. The page has a sentence for each.
var (
	errIssuerDown   = errors.New("issuer not reachable")
	errIssuerConfig = errors.New("issuer refuses this client")
	errIssuerMixup  = errors.New("answer of another issuer")
	errIdentity     = errors.New("issuer does not say who signed in")
	errStale        = errors.New("sign-in too old")
)

// signingAlgs are what an ID token may be signed with: never none, never a shared secret.
var signingAlgs = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// issuer is the client side of OpenID Connect's code flow, for browsers only.
type issuer struct {
	cfg      SignInConfig
	redirect string
	now      func() time.Time
	http     *cappedClient

	mu    sync.Mutex
	known *metadata
}

// metadata is what discovery said.
type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	SendsIss      bool     `json:"authorization_response_iss_parameter_supported"`

	verifier *oidc.IDTokenVerifier
}

func newIssuer(cfg SignInConfig, redirect string, now func() time.Time) *issuer {
	return &issuer{cfg: cfg, redirect: redirect, now: now, http: newCappedClient(cfg.HTTP)}
}

// discover reads the issuer's metadata at the first sign-in, and again until it once succeeded.
func (i *issuer) discover(ctx context.Context) (*metadata, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known != nil {
		return i.known, nil
	}
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), i.http.client)
	p, err := oidc.NewProvider(ctx, i.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: reading discovery: %w", errIssuerDown, errWithoutBody(err))
	}
	var m metadata
	if err := p.Claims(&m); err != nil {
		return nil, fmt.Errorf("%w: reading discovery: %w", errIssuerDown, err)
	}
	if err := i.check(m); err != nil {
		return nil, err
	}
	m.verifier = p.VerifierContext(ctx, &oidc.Config{ClientID: i.cfg.ClientID, SupportedSigningAlgs: signingAlgs, Now: i.now})
	i.known = &m
	return i.known, nil
}

// errWithoutBody keeps the kind of a discovery error: go-oidc prints what the server sent.
func errWithoutBody(err error) error {
	var mismatch *oidc.IssuerMismatchError
	if errors.As(err, &mismatch) {
		return errors.New("its metadata names another issuer")
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return transport.Err
	}
	return errors.New("unreadable answer")
}

func (i *issuer) check(m metadata) error {
	urls := []string{m.Authorization, m.Token}
	if m.Userinfo != "" {
		urls = append(urls, m.Userinfo)
	}
	for _, u := range urls {
		if err := checkURL(u, i.cfg.LoopbackHTTP); err != nil {
			return fmt.Errorf("%w: %w", errIssuerConfig, err)
		}
	}
	if len(m.Challenges) > 0 && !slices.Contains(m.Challenges, "S256") {
		return fmt.Errorf("%w: it does not take S256 challenges", errIssuerConfig)
	}
	return nil
}

// authURL is where the browser signs in.
func (i *issuer) authURL(ctx context.Context, state string, f signInFlow) (string, error) {
	m, err := i.discover(ctx)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(m.Authorization)
	if err != nil {
		return "", fmt.Errorf("%w: reading authorization endpoint", errIssuerConfig)
	}
	q := u.Query()
	for k, v := range map[string]string{
		"response_type": "code", "client_id": i.cfg.ClientID, "redirect_uri": i.redirect,
		"scope": "openid email profile", "state": state, "nonce": f.Nonce,
		"code_challenge": f.challenge(), "code_challenge_method": "S256",
		"max_age": strconv.Itoa(int(i.cfg.MaxAge / time.Second)),
	} {
		q.Set(k, v)
	}
	if f.Prompt != "" {
		q.Set("prompt", f.Prompt)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// checkIss compares the iss parameter, before the code goes anywhere (R19, RFC 9207 §2.4).
func (i *issuer) checkIss(ctx context.Context, iss string) error {
	m, err := i.discover(ctx)
	if err != nil {
		return err
	}
	if iss == i.cfg.Issuer || iss == "" && !m.SendsIss {
		return nil
	}
	return errIssuerMixup
}

// redeem turns the code into a person and the time at which they signed in. One
// request, whatever it answers: a code is never sent twice.
func (i *issuer) redeem(ctx context.Context, code string, f signInFlow) (vault.Person, time.Time, error) {
	m, err := i.discover(ctx)
	if err != nil {
		return vault.Person{}, time.Time{}, err
	}
	t, err := i.http.exchange(ctx, m, i.cfg, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {i.redirect}, "code_verifier": {f.Verifier},
	})
	if err != nil {
		return vault.Person{}, time.Time{}, err
	}
	token, err := m.verifier.Verify(oidc.ClientContext(ctx, i.http.client), t.IDToken)
	if err != nil {
		// go-oidc's error may quote the token's claims: the log gets the kind only.
		return vault.Person{}, time.Time{}, fmt.Errorf("%w: ID token not valid", errIdentity)
	}
	claims, err := readClaims(token)
	if err != nil {
		return vault.Person{}, time.Time{}, err
	}
	if token.Nonce == "" || token.Nonce != f.Nonce || len(token.Audience) > 1 && claims.text("azp") != i.cfg.ClientID {
		return vault.Person{}, time.Time{}, fmt.Errorf("%w: ID token of another sign-in", errIdentity)
	}
	at, err := i.freshness(claims)
	if err != nil {
		return vault.Person{}, time.Time{}, err
	}
	p, err := i.person(ctx, m, token, claims, t.AccessToken)
	return p, at, err
}

// freshness is auth_time, which must be there because max_age was asked for (OpenID Connect Core §3.1.2.1).
func (i *issuer) freshness(c claims) (time.Time, error) {
	at, err := c.number("auth_time")
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: auth_time is missing", errIdentity)
	}
	when := time.Unix(at, 0)
	if i.now().Sub(when) > i.cfg.MaxAge+time.Minute {
		return time.Time{}, errStale
	}
	return when, nil
}

func (i *issuer) person(ctx context.Context, m *metadata, token *oidc.IDToken, c claims, access string) (vault.Person, error) {
	subject, err := vault.SubjectOf(c.text, i.cfg.SubjectClaims)
	if err != nil {
		return vault.Person{}, fmt.Errorf("%w: %w", errIdentity, err)
	}
	if m.Userinfo != "" && (c.text("email") == "" || c.lacks(i.cfg.Claims)) {
		more, err := i.http.userinfo(ctx, m.Userinfo, access)
		if err != nil {
			return vault.Person{}, err
		}
		// OpenID Connect Core §5.3.2: claims of another subject must not be used.
		if more.text("sub") != token.Subject {
			return vault.Person{}, fmt.Errorf("%w: userinfo of another person", errIdentity)
		}
		c.fill(more, i.cfg.Claims)
	}
	return vault.Person{
		Caller: vault.Caller{Issuer: token.Issuer, Subject: subject},
		Email:  c.text("email"), EmailVerified: c.text("email_verified") == "true", Name: c.text("name"),
		Claims: c.values(i.cfg.Claims),
	}, nil
}

// fill takes from userinfo what the ID token does not say. An address and whether it
// is verified come from one of the two: neither vouches for the other's.
func (c claims) fill(more claims, names []string) {
	if c.text("email") == "" && more.text("email") != "" {
		c["email"], c["email_verified"] = more["email"], more["email_verified"]
	}
	for _, name := range append([]string{"name"}, names...) {
		if v, ok := more[name]; ok && c.lacks([]string{name}) && name != "email" && name != "email_verified" {
			c[name] = v
		}
	}
}

// claims are a JSON object, decoded one by one.
type claims map[string]json.RawMessage

func readClaims(token *oidc.IDToken) (claims, error) {
	var c claims
	if err := token.Claims(&c); err != nil {
		return nil, fmt.Errorf("%w: ID token not readable", errIdentity)
	}
	return c, nil
}

// text is a claim that is a string, a number or a boolean; "" for anything else.
func (c claims) text(name string) string {
	raw, ok := c[name]
	if !ok || len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func (c claims) number(name string) (int64, error) {
	var f float64
	if err := json.Unmarshal(c[name], &f); err != nil || f <= 0 || f > 1<<40 {
		return 0, fmt.Errorf("reading %s: not a time", name)
	}
	return int64(f), nil
}

// lacks says whether one of names is not there.
func (c claims) lacks(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := c[n]; return !ok })
}

// values are the named claims, each a list of texts: what is one text is a list of one, what is neither is left out.
func (c claims) values(names []string) map[string][]string {
	var out map[string][]string
	for _, name := range names {
		var list []string
		if one := c.text(name); one != "" {
			list = []string{one}
		} else if json.Unmarshal(c[name], &list) != nil || len(list) == 0 {
			continue
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[name] = list
	}
	return out
}
