package config

import (
	"net/netip"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// topKeys is the table of the whole file. A change here changes the parser,
// the defaults and the documentation at once.
func topKeys() rule[Config] {
	return object(
		field("listen", address(), func(c *Config) *string { return &c.Listen },
			"Where Grantry listens. Port 0 takes any free one. The flag --listen wins.").or("127.0.0.1:8787"),
		field("public_url", publicURL(), func(c *Config) *string { return &c.PublicURL },
			"Where people and clients reach Grantry. Required when listen is not loopback; https outside loopback.").computed("http:// and the address really bound"),
		field("tls", tlsKeys(), func(c *Config) *TLS { return &c.TLS },
			"Serve https with these PEM files. Without them a TLS proxy stands in front, or everything is on loopback."),
		field("allowed_hosts", listOf(hostPort()), func(c *Config) *[]string { return &c.AllowedHosts },
			"More Host headers to answer. public_url's host is always in, and on loopback localhost and 127.0.0.1; /healthz and /readyz skip the check.").or("[]"),
		field("allowed_origins", listOf(origin()), func(c *Config) *[]string { return &c.AllowedOrigins },
			"Origins of browser pages that may call /mcp, besides public_url.").or("[]"),
		field("trusted_proxies", listOf(network()), func(c *Config) *[]netip.Prefix { return &c.TrustedProxies },
			"Addresses or ranges of the proxies whose X-Forwarded-* headers count.").or("[]"),
		field("admin_listen", optional(address()), func(c *Config) *string { return &c.AdminListen },
			"Where /metrics is served; empty turns it off.").or("127.0.0.1:8799"),
		field("data_dir", filePath(), func(c *Config) *string { return &c.DataDir },
			"The vault's folder. The flag --data-dir wins.").computed("the user's data folder, such as ~/.local/share/grantry"),
		field("store", store(), func(c *Config) *Database { return &c.Store },
			"The database: a file in data_dir, or a PostgreSQL server, by its URL or a reference to it (env:NAME, file:PATH or exec:COMMAND).").or("sqlite"),
		field("keys", sealingKeys(), func(c *Config) *Sealing { return &c.Keys },
			"The key that encrypts the vault."),
		field("identity", identityKeys(), func(c *Config) *Identity { return &c.Identity },
			"Who signs people in. Leave it out for the built-in sign-in."),
		field("clients", mapOf("NAME", checkClientName, clientKeys()), func(c *Config) *map[string]Client { return &c.Clients },
			"Pre-registered OAuth clients, by name or by the issuer's client id. With an external issuer only for /me/v1."),
		field("connections", mapOf("NAME", checkName, connectionKeys()), func(c *Config) *map[string]Connection { return &c.Connections },
			"Vendors that people can connect, each with your client registration there. The name is part of the redirect URI {public_url}/callback/NAME."),
		field("tools", toolKeys(), func(c *Config) *Tools { return &c.Tools },
			"Which tools exist and which of them may write."),
		field("access", accessKeys(), func(c *Config) *Access { return &c.Access },
			"How long a person's permission for an agent lasts."),
		field("limits", limitKeys(), func(c *Config) *Limits { return &c.Limits },
			"Per caller and agent; 0 = none."),
		field("reap", reapKeys(), func(c *Config) *Reap { return &c.Reap },
			"When grants go by themselves; 0 = never. `grantry connections reap --dry-run` says which would."),
		field("audit", auditKeys(), func(c *Config) *Audit { return &c.Audit },
			"The audit log."),
		field("notify", optional(command()), func(c *Config) *Command { return &c.Notify },
			"exec:COMMAND, run for a new request to a person and for a grant that dies.").or(`""`),
		field("workloads", mapOf("NAME", checkName, workloadKeys()), func(c *Config) *map[string]Workload { return &c.Workloads },
			"Confidential clients that may exchange tokens at the token endpoint."),
	)
}

func tlsKeys() rule[TLS] {
	return object(
		field("cert", filePath(), func(t *TLS) *string { return &t.Cert }, "PEM file with the certificate and its chain."),
		field("key", filePath(), func(t *TLS) *string { return &t.Key }, "PEM file with the private key."),
	)
}

func sealingKeys() rule[Sealing] {
	return object(
		field("source", keySource(), func(k *Sealing) *KeySource { return &k.Source },
			"file:PATH (made on the first start), env:NAME, keychain:, exec:COMMAND, awskms://, gcpkms://, azurekeyvault:// or hashivault://.").computed("file: and grantry/key in the user's config folder"),
	)
}

func toolKeys() rule[Tools] {
	return object(
		field("groups", listOf(oneOf(toolGroups()...)), func(t *Tools) *[]string { return &t.Groups },
			"The groups of tools that are offered.").or("[calendar, documents, mail, crm, chat, issues]"),
		field("writes", oneOf("ask", "allow", "deny", "client"), func(t *Tools) *string { return &t.Writes },
			"What a tool that writes does: ask a person, go ahead, refuse, or trust a client that confirms by itself (never for deleting).").or("ask"),
		field("policy", mapOf("TOOL", checkToolName, oneOf("ask", "allow", "deny")), func(t *Tools) *map[string]string { return &t.Policy },
			"Exceptions from writes, by tool.").or("{}"),
		field("custom", nothingYet("custom tools are not available in this build yet"), func(*Tools) *struct{} { return &struct{}{} },
			"Tools declared here; not available in this build yet.").or("[]"),
	)
}

func toolGroups() []string {
	return []string{"calendar", "documents", "mail", "crm", "chat", "issues"}
}

func accessKeys() rule[Access] {
	return object(
		field("default_ttl", duration(), func(a *Access) *time.Duration { return &a.DefaultTTL },
			"What the consent page proposes.").or("720h"),
	)
}

func limitKeys() rule[Limits] {
	return object(
		field("open_tickets", count(), func(l *Limits) *int { return &l.OpenTickets }, "Requests to a person that are open at one time.").or("20"),
		field("tickets_per_hour", count(), func(l *Limits) *int { return &l.TicketsPerHour }, "New requests to a person.").or("60"),
		field("calls_per_minute", count(), func(l *Limits) *int { return &l.CallsPerMinute }, "Tool calls.").or("600"),
		field("writes_per_minute", count(), func(l *Limits) *int { return &l.WritesPerMinute }, "Tool calls that write.").or("30"),
	)
}

func reapKeys() rule[Reap] {
	return object(
		field("revoked", age(), func(p *Reap) *time.Duration { return &p.Revoked }, "A revoked account is forgotten after this time.").or("720h"),
		field("dead", age(), func(p *Reap) *time.Duration { return &p.Dead }, "An account whose grant died at the vendor is forgotten after this time.").or("2160h"),
		field("idle", age(), func(p *Reap) *time.Duration { return &p.Idle }, "An account that was not used for this time is revoked, also at the vendor.").or("0"),
	)
}

func auditKeys() rule[Audit] {
	return object(
		field("anchor", optional(fileOrURL()), func(a *Audit) *string { return &a.Anchor },
			"File or https URL that receives the heads of the audit chain.").or(`""`),
	)
}

// nothingYet is a list that has to be empty until its feature comes.
func nothingYet(why string) rule[struct{}] {
	return rule[struct{}]{kind: "list", read: func(r *reader, path string, n ast.Node, _ *struct{}) {
		switch n := n.(type) {
		case nil, *ast.NullNode:
		case *ast.SequenceNode:
			if len(n.Values) > 0 {
				r.problem(path, why)
			}
		default:
			r.wrongType(path, "a list", n)
		}
	}}
}
