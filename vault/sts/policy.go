package sts

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

// target is the connection that a workload asks for, with its ceiling.
type target struct {
	conn    *provider.Connection
	ceiling []string
}

// target finds the one connection that all of connection, audience and resource
// name, among those of the workload's policy. Which others there are is not said.
func (s *Server) target(w *workload, r request) (target, error) {
	if r.connection == "" && len(r.audience)+len(r.resource) == 0 {
		return target{}, refuse(http.StatusBadRequest, "invalid_request", "connection is missing: it names the account's vendor, as this server's configuration calls it")
	}
	var found []*provider.Connection
	for name := range w.Connections {
		conn, ok := s.cfg.Connection(name)
		if ok && meant(conn, r) {
			found = append(found, conn)
		}
	}
	switch len(found) {
	case 0:
		return target{}, refuse(http.StatusBadRequest, "invalid_target", "this client may use no connection of that name or address (workloads."+w.name+".connections)").as(badTarget)
	case 1:
		return target{conn: found[0], ceiling: w.Connections[found[0].Name()]}, nil
	}
	return target{}, refuse(http.StatusBadRequest, "invalid_target", "several connections of this client serve that address; name one in connection").as(badTarget)
}

// meant says whether a connection is what each of the request's names says.
func meant(conn *provider.Connection, r request) bool {
	for _, a := range r.audience {
		if a != conn.Name() && !serves(conn, a) {
			return false
		}
	}
	for _, a := range r.resource {
		if !serves(conn, a) {
			return false
		}
	}
	return r.connection == "" || r.connection == conn.Name()
}

// serves says whether an absolute address without a fragment (RFC 8707 §2) lies on one of the connection's API hosts.
func serves(conn *provider.Connection, address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Contains(address, "#") {
		return false
	}
	host := strings.ToLower(u.Host)
	return slices.ContainsFunc(conn.APIHosts(), func(h string) bool {
		if suffix, wild := strings.CutPrefix(h, "*"); wild {
			return strings.HasSuffix(host, suffix) && len(host) > len(suffix)
		}
		return host == h
	})
}

// below refuses scopes that are above the ceiling.
func (t target) below(scopes []string) error {
	var over []string
	for _, scope := range scopes {
		if p := t.conn.Provider(); !p.IdentityOnly(scope) && !p.Covers(t.ceiling, scope) {
			over = append(over, scope)
		}
	}
	if len(over) == 0 {
		return nil
	}
	r := refuse(http.StatusBadRequest, "invalid_scope", "these scopes are above the ceiling that this client's policy sets for the connection")
	r.missing = over
	return r
}

// need is what the token has to cover: all of these scopes.
func (t target) need(scopes []string) provider.Need {
	n := provider.Need{Provider: t.conn.Provider().Name, Connection: t.conn.Name()}
	for _, scope := range scopes {
		n.Groups = append(n.Groups, []string{scope})
	}
	return n
}

// unattended says whether the workload may do without its person there.
func (t target) unattended(w *workload, r request) error {
	if r.subjectType == typeJWT && !slices.Contains(w.Unattended, t.conn.Name()) {
		return refuse(http.StatusBadRequest, "invalid_target", "this client may not use the connection without its user present (workloads."+w.name+".unattended)").as(badTarget)
	}
	return nil
}
