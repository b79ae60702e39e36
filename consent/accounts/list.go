package accounts

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	defaultTake = 10
	maxTake     = 20
	maxFilters  = 20
)

// connected is an account as the API shows it.
type connected struct {
	ID         string   `json:"id"` // cac_…
	Connection string   `json:"connection"`
	AccessType string   `json:"access_type"` // offline
	Scopes     []string `json:"scopes"`
	CreatedAt  string   `json:"created_at"`
	ExpiresAt  string   `json:"expires_at,omitempty"` // when the vendor ends it whatever is done, where that is known
}

func view(a vault.Account) connected {
	out := connected{
		ID: publicID(a.ID), Connection: a.Connection, AccessType: "offline", Scopes: a.Scopes, CreatedAt: a.Created.UTC().Format(time.RFC3339),
	}
	if out.Scopes == nil {
		out.Scopes = []string{}
	}
	if !a.EndsBy.IsZero() {
		out.ExpiresAt = a.EndsBy.UTC().Format(time.RFC3339)
	}
	return out
}

var accountID = regexp.MustCompile(`^cac_[A-Za-z0-9]{1,64}$`)

// publicID is the vault's own id (a_…) as the API writes it.
func publicID(id string) string { return "cac_" + strings.TrimPrefix(id, "a_") }

// accounts lists what the person has connected, oldest first, without what is revoked.
func (s *Server) accounts(c *call) (answer, error) {
	q := c.r.URL.Query()
	only := q["connection"]
	if len(only) > maxFilters {
		return answer{}, badRequest(invalid{Detail: "may be there 20 times at most", Field: "connection", Source: "query"})
	}
	all, err := s.mine(c)
	if err != nil {
		return answer{}, err
	}
	all = slices.DeleteFunc(all, func(a vault.Account) bool { return len(only) > 0 && !slices.Contains(only, a.Connection) })
	page, next, err := cut(q, all, func(a vault.Account) string { return fmt.Sprintf("%014d %s", a.Created.UnixMilli(), a.ID) })
	if err != nil {
		return answer{}, err
	}
	out := struct {
		Accounts []connected `json:"accounts"`
		Next     string      `json:"next,omitempty"`
	}{[]connected{}, next}
	for _, a := range page {
		out.Accounts = append(out.Accounts, view(a))
	}
	return reply(http.StatusOK, out)
}

// mine are the accounts of the token's person that are not revoked.
func (s *Server) mine(c *call) ([]vault.Account, error) {
	all, err := s.cfg.Vault.Accounts(c.r.Context(), c.who.Person.Caller)
	return slices.DeleteFunc(all, func(a vault.Account) bool { return a.State == vault.GrantRevoked }), err
}

// connections lists what can be connected, by name.
func (s *Server) connections(c *call) (answer, error) {
	names := slices.Sorted(slices.Values(s.cfg.Vault.Connections()))
	page, next, err := cut(c.r.URL.Query(), names, func(name string) string { return name })
	if err != nil {
		return answer{}, err
	}
	type one struct {
		Name     string   `json:"name"`
		Strategy string   `json:"strategy"`
		Scopes   []string `json:"scopes"`
	}
	out := struct {
		Connections []one  `json:"connections"`
		Next        string `json:"next,omitempty"`
	}{[]one{}, next}
	for _, name := range page {
		if conn, ok := s.cfg.Connection(name); ok {
			out.Connections = append(out.Connections, one{name, strategy(conn.Provider().Name), s.offered(conn)})
		}
	}
	return reply(http.StatusOK, out)
}

// strategy is what Auth0 calls a provider, where it has another name for it.
func strategy(name string) string {
	switch name {
	case "google":
		return "google-oauth2"
	case "microsoft":
		return "waad"
	case "slack":
		return "sign-in-with-slack"
	}
	return name
}

// disconnect ends an account here and at its vendor. Another person's is as unknown as one that nobody has.
func (s *Server) disconnect(c *call) (answer, error) {
	all, err := s.mine(c)
	if err != nil {
		return answer{}, err
	}
	i := slices.IndexFunc(all, func(a vault.Account) bool { return accountID.MatchString(c.last) && publicID(a.ID) == c.last })
	if i < 0 {
		return answer{}, refusal(http.StatusNotFound, "no_such_account", "The person has no such account.")
	}
	_, err = s.cfg.Vault.Disconnect(c.r.Context(), c.who.Person.Caller, all[i].ID)
	return answer{status: http.StatusNoContent}, err
}

// cut is a page of all, in the order of their keys: from where from says, and at most take.
func cut[T any](q url.Values, all []T, key func(T) string) (page []T, next string, err error) {
	take := defaultTake
	if q.Has("take") {
		if take, err = strconv.Atoi(q.Get("take")); err != nil || take < 1 || take > maxTake {
			return nil, "", badRequest(invalid{Detail: "must be a number from 1 to 20", Field: "take", Source: "query"})
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("from"))
	if err != nil || len(q.Get("from")) > 255 {
		return nil, "", badRequest(invalid{Detail: "must be what next said", Field: "from", Source: "query"})
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	all = slices.DeleteFunc(all, func(one T) bool { return key(one) <= string(after) })
	if len(all) <= take {
		return all, "", nil
	}
	return all[:take], base64.RawURLEncoding.EncodeToString([]byte(key(all[take-1]))), nil
}
