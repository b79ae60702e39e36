package sts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const (
	proxyPrefix = "gp_"
	proxyBytes  = 32
	proxyLife   = 5 * time.Minute
	recProxy    = "proxy.token"
)

// pass is what a proxy token stands for. It lies sealed under its person's key,
// and is found by the token's hash alone. What may be done with it is looked up
// at each request anew, so that nothing which was taken away lives on in it.
type pass struct {
	Workload   string       `json:"workload"`
	Person     vault.Person `json:"person"`
	Connection string       `json:"connection"`
	Account    string       `json:"account"` // id
	Access     string       `json:"access"`  // id of the workload's access to it: with that the token ends
	Scopes     []string     `json:"scopes"`
}

// issue answers a proxy token instead of a vendor's. It proves that a token would be granted, and releases none.
func (s *Server) issue(ctx context.Context, c *call) (*vault.Token, error) {
	name := c.target.conn.Name()
	switch {
	case len(c.workload.rules[name]) == 0:
		return nil, refuse(http.StatusBadRequest, "invalid_target", "this client may send nothing through the proxy at this connection (workloads."+c.workload.name+".proxy)").as(badTarget)
	case c.minTTL > proxyLife-skew:
		return nil, refuse(http.StatusBadRequest, "invalid_request", fmt.Sprintf("min_ttl is longer than a proxy token lives: %d seconds", int((proxyLife-skew).Seconds())))
	}
	scopes, which, err := s.which(ctx, c)
	if err != nil {
		return nil, s.refused(ctx, c, err)
	}
	who := c.subject.person
	who.Claims = nil
	value, err := json.Marshal(pass{Workload: c.workload.name, Person: who, Connection: name, Account: which.Grant, Access: which.Access, Scopes: scopes})
	if err != nil {
		return nil, fmt.Errorf("encoding proxy token: %w", err)
	}
	raw := make([]byte, proxyBytes)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("making proxy token: %w", err)
	}
	token := proxyPrefix + base64.RawURLEncoding.EncodeToString(raw)
	e := vault.Entry{
		Kind: "proxy.token_issued", Caller: who.Caller, Agent: c.workload.agent(), Connection: name, Account: which.Grant, Scopes: scopes,
		Detail: vault.Detail{Call: c.id, Exchange: c.exchanged("proxy_token")},
	}
	if err := errors.Join(s.cfg.Records.Put(ctx, recProxy, token, who.Caller, value, proxyLife), s.cfg.Vault.Audit(ctx, e)); err != nil {
		return nil, down(sentence(vault.VaultDegraded), 5*time.Second, err)
	}
	which.Token, which.Scopes, which.APIBase = provider.NewSecret(token), scopes, s.cfg.PublicURL+ProxyPath+name
	return &vault.Token{Bearer: which.Bearer, Expiry: s.cfg.Now().Add(proxyLife)}, nil
}

// which is the account that serves, and the scopes that were asked for: where
// none were, what the account was granted of the ceiling.
func (s *Server) which(ctx context.Context, c *call) ([]string, vault.Choice, error) {
	if len(c.scopes) > 0 {
		b, err := s.cfg.Vault.Which(ctx, s.passRequest(c, c.scopes))
		return c.scopes, b, err
	}
	b, err := s.cfg.Vault.Which(ctx, s.passRequest(c, c.target.ceiling))
	lack, ok := errors.AsType[*vault.ConsentError](err)
	if !ok || lack.Reason != vault.UnderScoped || len(lack.Options) != 1 {
		return c.target.ceiling, b, err
	}
	granted := slices.DeleteFunc(slices.Clone(c.target.ceiling), func(s string) bool { return slices.Contains(lack.Options[0].Missing, s) })
	b, err = s.cfg.Vault.Which(ctx, s.passRequest(c, granted))
	return granted, b, err
}

// passRequest asks for a token that stays here, so that it has no ceiling: what
// the workload can do with it is on the proxy's list of requests, also where the vendor cannot narrow one.
func (s *Server) passRequest(c *call, scopes []string) vault.Request {
	return vault.Request{Caller: c.subject.person.Caller, Agent: c.workload.agent(), Needs: []provider.Need{c.target.need(scopes)}, Account: c.account, Call: c.id}
}

// presented answers what the proxy token of a request stands for. It looks nowhere but in the Authorization header.
func (s *Server) presented(r *http.Request) (pass, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return pass{}, notPassed("the proxy takes a proxy token as bearer: exchange a subject token for one with requested_token_type=" + typeProxy)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(token, proxyPrefix) || len(token) != len(proxyPrefix)+base64.RawURLEncoding.EncodedLen(proxyBytes) {
		return pass{}, notPassed("the proxy takes a proxy token as bearer and nothing else: no client's credentials, no vendor's token, no token for MCP")
	}
	raw, err := s.cfg.Records.Get(r.Context(), recProxy, token)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return pass{}, notPassed("the proxy token is not known here, or is over; exchange the subject token again")
	case err != nil:
		return pass{}, down(sentence(vault.VaultDegraded), 5*time.Second, err)
	}
	var p pass
	if err := json.Unmarshal(raw, &p); err != nil {
		return pass{}, fmt.Errorf("reading proxy token: %w", err)
	}
	return p, nil
}

func notPassed(text string) *refusal {
	r := refuse(http.StatusUnauthorized, "invalid_token", text).as("token")
	r.challenge = `Bearer realm="grantry", error="invalid_token"`
	return r
}
