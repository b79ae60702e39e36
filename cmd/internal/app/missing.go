package app

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/grantry/grantry/cmd/internal/app/config"
)

// Unheld are the rules of a config that this version reads and cannot hold yet,
// as paths. Nothing starts with one: a rule that nobody holds is worse than none.
func Unheld(c *config.Config) []string {
	var refused []string
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		conn := c.Connections[name]
		if len(conn.Accounts.Domains)+len(conn.Accounts.Tenants) > 0 {
			refused = append(refused, "connections."+name+".accounts")
		}
		if conn.Allow.Claim != "" {
			refused = append(refused, "connections."+name+".allow")
		}
	}
	return refused
}

// missingParts refuses what is [Unheld], and names in the log what else this version does not act on yet.
func missingParts(c *config.Config, log *slog.Logger) error {
	if c.Sandbox {
		return nil
	}
	if refused := Unheld(c); len(refused) > 0 {
		return &UsageError{Text: fmt.Sprintf("this version does not hold these rules yet, so it does not start with them: %s; remove them, or wait for the version that does", strings.Join(refused, ", "))}
	}
	for part, set := range map[string]bool{
		"clients": len(c.Clients) > 0, "workloads": len(c.Workloads) > 0,
	} {
		if set {
			log.Warn("this version does not use a part of the config yet", "part", part)
		}
	}
	return nil
}
