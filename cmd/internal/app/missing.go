package app

import (
	"log/slog"

	"github.com/grantry/grantry/cmd/internal/app/config"
)

// missingParts names in the log what of the config this version does not act on yet.
func missingParts(c *config.Config, log *slog.Logger) {
	if c.Sandbox {
		return
	}
	proxy := false
	for _, w := range c.Workloads {
		proxy = proxy || len(w.Proxy) > 0
	}
	for part, set := range map[string]bool{
		"clients": len(c.Clients) > 0 && c.Identity.Issuer != "", "workloads.proxy": proxy,
	} {
		if set {
			log.Warn("this version does not use a part of the config yet", "part", part)
		}
	}
}
