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
	for _, w := range c.Workloads {
		if len(w.Proxy) > 0 {
			log.Warn("this version does not use a part of the config yet", "part", "workloads.proxy")
			return
		}
	}
}
