package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxAnswer  = 64 << 10 // bytes of an answer
	maxText    = 500      // characters of a description
	skew       = 10 * time.Second
	longestTTL = 24 * time.Hour // that Grantry takes as min_ttl
)

// Token is one at the vendor.
type Token struct {
	Access  Secret
	Type    string    // "Bearer"
	Expires time.Time // when to ask for another; before the vendor's own end
	Scopes  []string  // what it covers
	APIBase string    // where its API is, for vendors that say so with each token (Salesforce); else ""

	until time.Time // kept so long
}

func (t *Token) clone() *Token {
	out := *t
	out.Scopes = slices.Clone(t.Scopes)
	return &out
}

// lasts says whether the token is good for that long yet.
func (t *Token) lasts(now time.Time, least time.Duration) bool {
	return t != nil && now.Before(t.until) && !now.Add(least).After(t.Expires)
}

// exchange asks Grantry once.
func (s *Source) exchange(ctx context.Context, least time.Duration) (*Token, error) {
	c := s.client
	subject, err := s.subject.token(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading the user's token: %w", err)
	}
	form, header := s.form(least), http.Header{}
	if err := c.prove(ctx, form, header); err != nil {
		return nil, err
	}
	form.Set("subject_token", subject.Reveal())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+tokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	asked := c.cfg.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(text) > maxAnswer {
		return nil, errors.Join(errors.New("grantry: the answer cannot be read, or is larger than 64 KiB"), err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, s.refused(resp, text, form)
	}
	return granted(text, asked)
}

func (s *Source) form(least time.Duration) url.Values {
	f := url.Values{
		"grant_type": {grantType}, "subject_token_type": {s.subject.kind}, "connection": {s.connection}, "requested_token_type": {typeAccess},
	}
	if len(s.options.Scopes) > 0 {
		f.Set("scope", strings.Join(s.options.Scopes, " "))
	}
	if s.options.Account != "" {
		f.Set("account", s.options.Account)
	}
	if least > 0 {
		f.Set("min_ttl", strconv.Itoa(int(math.Ceil(min(least, longestTTL).Seconds()))))
	}
	return f
}

// granted reads RFC 8693 §2.2.1.
func granted(text []byte, asked time.Time) (*Token, error) {
	var a struct {
		Access  string  `json:"access_token"`
		Type    string  `json:"token_type"`
		Expires float64 `json:"expires_in"`
		Scope   string  `json:"scope"`
		APIBase string  `json:"api_base"`
	}
	if json.Unmarshal(text, &a) != nil || a.Access == "" { // the cause may quote the token
		return nil, errors.New("grantry: the answer holds no token; is BaseURL Grantry's public_url?")
	}
	if !strings.EqualFold(a.Type, "Bearer") {
		return nil, errors.New("grantry: the answer's token is no bearer token")
	}
	life := time.Duration(max(0, min(a.Expires, longestTTL.Seconds()))) * time.Second
	return &Token{
		Access: NewSecret(a.Access), Type: "Bearer", Expires: asked.Add(life), Scopes: strings.Fields(a.Scope), APIBase: a.APIBase,
		until: asked.Add(max(life-skew, life/2)),
	}, nil
}

// refused reads RFC 6749 §5.2, with what Grantry adds. What is no such answer is not quoted.
func (s *Source) refused(resp *http.Response, text []byte, sent url.Values) error {
	var a struct {
		Code     string   `json:"error"`
		Text     string   `json:"error_description"`
		Reason   Reason   `json:"error_reason"`
		Missing  []string `json:"missing_scopes"`
		Accounts []string `json:"accounts"`
		URI      string   `json:"consent_uri"`
	}
	e := &Error{Status: resp.StatusCode}
	if json.Unmarshal(text, &a) != nil || a.Code == "" {
		return e
	}
	e.Code, e.Description, e.Reason, e.Missing, e.Accounts = plain(a.Code, sent), plain(a.Text, sent), Reason(plain(string(a.Reason), sent)), a.Missing, a.Accounts
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(min(n, int(longestTTL/time.Second))) * time.Second
	}
	uri := page(a.URI)
	if uri == "" && (!e.Reason.mendable() || e.Code != "consent_required" && e.Code != "invalid_scope") {
		return e
	}
	return &ConsentRequired{Connection: s.connection, Reason: e.Reason, Missing: a.Missing, URI: uri, Description: e.Description, err: e}
}

// page takes a link that a user can be led to, and no other kind of address.
func page(link string) string {
	if u, err := url.Parse(link); err != nil || u.Host == "" || u.User != nil || !safe(u) {
		return ""
	}
	return link
}

// plain is a text of the answer for an error: short, on one line, and without what was sent.
func plain(text string, sent url.Values) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	for _, name := range []string{"subject_token", "client_assertion"} {
		if v := sent.Get(name); v != "" && strings.Contains(text, v) {
			return ""
		}
	}
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}
