package authserver_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestOtherLibrary signs alice in by an OpenID Connect library as its users do: discovery,
// the code flow, the ID token under the published keys, a refresh.
func TestOtherLibrary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, http.DefaultClient)
	p, err := oidc.NewProvider(ctx, w.base)
	if err != nil {
		t.Fatal(err)
	}
	cfg := oauth2.Config{ClientID: portal, ClientSecret: portalSecret, Endpoint: p.Endpoint(), RedirectURL: portalRedirect, Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess}}
	b, v := w.browser("alice"), oauth2.GenerateVerifier()
	at := b.open(cfg.AuthCodeURL("the-state", oauth2.S256ChallengeOption(v), oidc.Nonce("the-nonce")))
	back := b.open(w.allow(at.location, "alice")).location.Query()
	tok, err := cfg.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(v))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tok.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: portal, Now: w.clock.Now}).Verify(ctx, raw)
	if err != nil || id.Nonce != "the-nonce" || id.Subject != w.v.Pseudonym(person("alice").Caller) {
		t.Fatalf("the ID token says %+v, %v", id, err)
	}
	if _, err := p.VerifierContext(ctx, &oidc.Config{ClientID: "other", Now: w.clock.Now}).Verify(ctx, raw); err == nil {
		t.Error("the ID token is one for another client, too")
	}
	again, err := cfg.TokenSource(ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
	if err != nil || again.AccessToken == tok.AccessToken || again.RefreshToken == tok.RefreshToken {
		t.Errorf("a refresh gives the same tokens, or %v", err)
	}
}
