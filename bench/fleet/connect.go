package fleet

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// Connection is the name of the one connection, whose accounts everybody has.
const Connection = "files"

const (
	clientID = "bench"
	scope    = "files.read"
	less     = "files.names" // which scope covers
	redirect = "http://127.0.0.1:8787/callback/" + Connection
)

// Subject is the name of the i-th person, at their issuer and at the vendor.
func Subject(i int) string { return fmt.Sprintf("user%d", i) }

// Caller is the i-th person.
func Caller(i int) vault.Person {
	return vault.Person{Caller: vault.Caller{Issuer: "local:bench", Subject: Subject(i)}}
}

// Agent is who acts for everybody.
func Agent() vault.Agent { return vault.Agent{ID: "stdio:bench"} }

// Request asks for the token of the i-th person's only account.
func Request(i int) vault.Request {
	groups := [][]string{{scope}}
	needs := []provider.Need{{Provider: "oauth2", Groups: groups}, {Provider: "oidc", Groups: groups}}
	return vault.Request{Caller: Caller(i).Caller, Agent: Agent(), Needs: needs, Tool: "files_list", Call: "call"}
}

// RequestLess is Request for a token that can do less than the account, as a workload asks for one.
func RequestLess(i int) vault.Request {
	r := Request(i)
	for n := range r.Needs {
		r.Needs[n].Groups = [][]string{{less}}
	}
	r.Ceiling = &vault.Ceiling{Scopes: []string{less}}
	return r
}

// NewConnection is the connection to a vendor by its URL: /token, /userinfo and
// /revoke of it are asked, or what the discovery document names where the vendor
// speaks OpenID Connect. now nil means the real clock, client nil the default one.
func NewConnection(vendor string, openID bool, now func() time.Time, client *http.Client) (*provider.Connection, error) {
	host, err := url.Parse(vendor)
	if err != nil {
		return nil, fmt.Errorf("reading the vendor's URL: %w", err)
	}
	kind := "oauth2"
	at := provider.Endpoints{
		Authorization: vendor + "/authorize", Token: vendor + "/token", Userinfo: vendor + "/userinfo", Revocation: vendor + "/revoke",
	}
	if openID {
		kind, at = "oidc", provider.Endpoints{Issuer: vendor}
	}
	p, ok := provider.Catalog().Lookup(kind)
	if !ok {
		return nil, fmt.Errorf("the catalog has no %s", kind)
	}
	p.Scope.Implies, p.Refresh.Narrows = map[string][]string{scope: {less}}, provider.NarrowsListed
	return provider.NewConnection(provider.Registration{
		Name: Connection, Provider: p, ClientID: clientID, ClientSecret: provider.NewSecret("secret"), LoopbackHTTP: true,
		APIHosts: []string{host.Host}, Endpoints: at,
	}, provider.Config{Now: now, HTTP: client})
}

// Connect goes the whole way of the i-th person: the ticket, their Allow, and the
// vendor's answer, whose code names them and the nonce.
func Connect(ctx context.Context, v *vault.Vault, i int) error {
	p := Caller(i)
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{Connection: Connection, Scopes: []string{scope}, VendorNeeded: true}}}
	t, _, err := v.OpenTicket(ctx, vault.TicketRequest{Owner: p, Agent: Agent(), Need: need})
	if err != nil {
		return fmt.Errorf("opening a ticket: %w", err)
	}
	s, err := v.Allow(ctx, vault.Answer{Handle: v.Handle(t), Person: p, RedirectURI: redirect, Session: "s"})
	if err != nil {
		return fmt.Errorf("allowing: %w", err)
	}
	u, err := url.Parse(s.AuthURL)
	if err != nil {
		return fmt.Errorf("reading the authorization URL: %w", err)
	}
	q := u.Query()
	_, _, err = v.Finish(ctx, vault.Callback{
		Connection: Connection, State: q.Get("state"), Code: p.Subject + "~" + q.Get("nonce"), Cookie: s.Cookie, Session: "s", Person: p,
	})
	if err != nil {
		return fmt.Errorf("finishing: %w", err)
	}
	return nil
}
