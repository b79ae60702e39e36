package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (r *reader) require(path string) {
	if !r.set(path) {
		r.problem(path, "is required")
	}
}

func (r *reader) checkIdentity(i Identity) {
	r.checkClaims(i)
	if r.set("identity.issuer") {
		r.require("identity.client_id")
		if r.set("identity.upstream") {
			r.problem("identity.upstream", "excludes identity.issuer: keep issuer to take its tokens, or upstream for the built-in server")
		}
	} else {
		for _, name := range []string{"client_id", "client_secret", "also"} {
			if path := join("identity", name); r.set(path) && (name != "also" || len(i.Also) > 0) {
				r.problem(path, "needs identity.issuer")
			}
		}
	}
	if r.set("identity.upstream") {
		r.require("identity.upstream.issuer")
		r.require("identity.upstream.client_id")
	}
	seen := map[string]bool{i.Issuer: true}
	for n, also := range i.Also {
		path := "identity.also[" + strconv.Itoa(n) + "]"
		r.require(path + ".issuer")
		if also.Issuer != "" && seen[also.Issuer] {
			r.problem(path+".issuer", "is the same issuer once more")
		}
		seen[also.Issuer] = true
		if r.set(path + ".client_secret") {
			r.require(path + ".client_id")
		}
	}
}

// checkClaims holds R04: an e-mail address is no identity, because its owner changes.
func (r *reader) checkClaims(i Identity) {
	for n, claim := range i.SubjectClaims {
		if strings.EqualFold(claim, "email") {
			r.problem("identity.subject_claims["+strconv.Itoa(n)+"]", "must not be email: an address can pass to another person; use sub, or [tid, oid] for Entra")
		}
	}
	for name, claims := range map[string][]string{"subject_claims": i.SubjectClaims, "agent_claims": i.AgentClaims} {
		if len(claims) == 0 && !r.failed(join("identity", name)) {
			r.problem(join("identity", name), "must name at least one claim")
		}
	}
}

// failed says whether a problem was reported for a key already.
func (r *reader) failed(path string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Path == path })
}

// checkClients asks for plain names where no issuer gives client ids, and finds
// what a client of the built-in server has no use for: its clients are those of /mcp alone.
func (r *reader) checkClients(c *Config) {
	names := slices.Sorted(maps.Keys(c.Clients))
	for _, name := range names {
		if r.set("identity.issuer") || checkClientName(r, name) != "" {
			continue
		}
		if c.Clients[name].Binding == "app" {
			r.problem(join("clients", name)+".binding", "is for the connected-accounts API, which takes clients of an identity.issuer alone; without one make it a workload with redirect_uris")
		}
		if why := checkName(r, name); why != "" {
			r.problem("clients", why+" (only the client ids of an identity.issuer may be anything else)")
		}
	}
}

func (r *reader) checkConnections(c *Config, known map[string]ProviderRule) {
	for name, conn := range c.Connections {
		if !isName(name) {
			continue // reported already
		}
		path := join("connections", name)
		r.require(path + ".provider")
		r.require(path + ".client_id")
		if conn.ClientAuth == "none" && r.set(path+".client_secret") {
			r.problem(path+".client_secret", "has no use with client_auth: none; remove one of them")
		}
		if r.set(path + ".allow") {
			r.checkAllow(path+".allow", conn.Allow)
		}
		if conn.Provider != "" && known != nil {
			r.checkProvider(path, conn, known)
		}
	}
}

func (r *reader) checkAllow(path string, a Allow) {
	r.require(path + ".claim")
	if len(a.Any) == 0 && !r.failed(path+".any") {
		r.problem(path+".any", "must list at least one value; without any value nobody may connect")
	}
}

func (r *reader) checkProvider(path string, conn Connection, known map[string]ProviderRule) {
	rule, ok := known[conn.Provider]
	if !ok {
		names := slices.Sorted(maps.Keys(known))
		r.problem(path+".provider", "must be one of "+strings.Join(names, ", ")+meant(conn.Provider, names))
		return
	}
	for _, key := range rule.Required {
		at := join(path, key)
		empty := key == "api_hosts" && len(conn.APIHosts) == 0 && !r.failed(at)
		if !r.set(at) || empty {
			r.problem(at, "is required with provider "+conn.Provider)
		}
	}
	for _, key := range rule.Forbidden {
		if at := join(path, key); r.set(at) {
			r.problem(at, "is not for provider "+conn.Provider+"; remove it")
		}
	}
}

func (r *reader) checkWorkloads(c *Config) {
	for name, w := range c.Workloads {
		if !isName(name) {
			continue // reported already
		}
		path := join("workloads", name)
		switch secret, keys := r.set(path+".client_secret"), r.set(path+".jwks"); {
		case secret && keys:
			r.problem(path+".jwks", "excludes client_secret: a workload proves itself in one way")
		case !secret && !keys:
			r.problem(path, "needs client_secret or jwks")
		case secret && len(w.Unattended) > 0:
			r.problem(path+".unattended", "needs jwks in place of client_secret: a request without a user present is signed")
		}
		if _, both := c.Clients[name]; both {
			r.problem(path, "is also a client: a client id belongs to an MCP client or to a workload, never to both")
		}
		r.checkCeilings(path, w, c)
		r.checkSubjects(path, w, c)
	}
}

// checkCeilings finds connections that do not exist, or that the workload may not use.
func (r *reader) checkCeilings(path string, w Workload, c *Config) {
	configured := slices.Sorted(maps.Keys(c.Connections))
	allowed := slices.Sorted(maps.Keys(w.Connections))
	for _, name := range allowed {
		if isName(name) && !slices.Contains(configured, name) {
			r.problem(join(path+".connections", name), "there is no such connection"+meant(name, configured))
		}
	}
	for n, name := range w.Unattended {
		if at := path + ".unattended[" + strconv.Itoa(n) + "]"; !slices.Contains(allowed, name) && !r.failed(at) {
			r.problem(at, "must be one of this workload's connections"+meant(name, allowed))
		}
	}
	for name := range w.Proxy {
		if isName(name) && !slices.Contains(allowed, name) {
			r.problem(join(path+".proxy", name), "must be one of this workload's connections"+meant(name, allowed))
		}
	}
}

// checkSubjects keeps MCP tokens and subject tokens apart: what an MCP client
// holds can never become a vendor's token.
func (r *reader) checkSubjects(path string, w Workload, c *Config) {
	taken := slices.Clone(c.Identity.Audiences)
	for _, also := range c.Identity.Also {
		taken = append(taken, also.Audiences...)
	}
	for n, audience := range w.Audiences {
		if audience == "" {
			continue // reported already
		}
		if slices.Contains(taken, audience) || c.PublicURL != "" && audience == c.PublicURL+"/mcp" {
			r.problem(path+".audiences["+strconv.Itoa(n)+"]", "is an audience of MCP tokens, which are never subject tokens; use another one")
		}
	}
}
