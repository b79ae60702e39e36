package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

type configCmd struct {
	Check configCheck `cmd:"" help:"Read the configuration and say everything that is wrong with it."`
}

type configCheck struct{}

// Run reads the file, resolves every secret reference, loads the certificate, and prints no secret.
func (*configCheck) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range cfg.Secrets {
		if _, err := s.Ref.Resolve(e.ctx); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Path, err))
		}
	}
	if cfg.TLS.Cert != "" {
		if _, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key); err != nil {
			problems = append(problems, fmt.Errorf("the certificate of tls: %w", err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return usage(err)
	}
	from := cfg.File
	if from == "" {
		from = "no file: built-in defaults"
	}
	fmt.Fprintf(e.out, "Configuration is fine (%s).\nData folder: %s\nKey: %s\nConnections: %s\n",
		from, cfg.DataDir, cfg.Keys.Source, orNone(strings.Join(sortedKeys(cfg.Connections), ", ")))
	return e.printRedirects(cfg)
}

// printRedirects says what to register at each vendor.
func (e *env) printRedirects(cfg *config.Config) error {
	if cfg.Sandbox || len(cfg.Connections) == 0 {
		return nil
	}
	a, err := app.New(app.Options{Config: cfg, Logger: e.logger()})
	if err != nil {
		return err
	}
	redirects, err := a.Redirects(e.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(e.out, "Redirect URIs to register:")
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, r := range redirects {
		uri := r.URI
		if r.Refused != nil {
			uri = "none: the vendor takes https only; set tls, and public_url to an https address"
		}
		fmt.Fprintf(w, "  %s\t%s\n", r.Connection, uri)
	}
	return w.Flush()
}
