//go:build conformance

package app

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/grantry/grantry/mcp"
)

// Conformance serves MCP at /mcp for the official conformance suite: our chain
// with the suite's tools and without a bearer, on loopback only, until ctx ends.
func (a *App) Conformance(ctx context.Context, ready func(url string)) error {
	if !loopbackAddress(a.cfg.Listen) {
		return &UsageError{Text: "conformance asks nobody who they are, so it listens on loopback only"}
	}
	ln, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return &UsageError{Text: fmt.Sprintf("cannot listen on %s: %v", a.cfg.Listen, err)}
	}
	v, err := a.Vault(ctx)
	if err != nil {
		return err
	}
	publicURL := a.scheme() + ln.Addr().String()
	cfg := a.mcpConfig(publicURL)
	cfg.Open = func(context.Context) (mcp.Vault, error) { return v, nil }
	cfg.Records, cfg.Limits = v.Records(), mcp.Limits{}
	m, err := mcp.NewConformance(cfg)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", a.hosts(v, publicURL, m.Conformance()))
	ready(publicURL + "/mcp")
	return a.run(ctx, ln, &server{vault: v, mcp: m, handler: mux})
}
