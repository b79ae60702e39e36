package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

type providersCmd struct {
	List providersList `cmd:"" help:"All of them."`
	Show providersShow `cmd:"" help:"One: addresses, redirect URI, scopes, what is not verified."`
}

// providerLine is a provider as --json prints it.
type providerLine struct {
	Name       string             `json:"name"`
	Title      string             `json:"title"`
	Endpoints  provider.Endpoints `json:"endpoints"`
	APIHosts   []string           `json:"api_hosts"`
	Loopback   string             `json:"loopback_redirect"`
	Host       string             `json:"loopback_host"`
	Rotates    bool               `json:"refresh_token_rotates"`
	Narrows    bool               `json:"refresh_narrows"`
	Unverified []string           `json:"unverified"`
}

func providerOf(p *provider.Provider) providerLine {
	return providerLine{
		Name: p.Name, Title: p.Title, Endpoints: p.Endpoints, APIHosts: p.APIHosts, Loopback: string(p.Redirect.Loopback),
		Host: p.Redirect.Host, Rotates: p.Refresh.Rotates, Narrows: p.Refresh.Narrows != provider.NarrowsNot, Unverified: p.Unverified,
	}
}

type providersList struct{}

// Run prints a line per provider.
func (*providersList) Run(e *env) error {
	catalog := provider.Catalog()
	lines := []providerLine{}
	for _, n := range catalog.Names() {
		p, _ := catalog.Lookup(n)
		lines = append(lines, providerOf(p))
	}
	if e.common.JSON {
		return e.printJSON(lines)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tVENDOR\tLOOPBACK REDIRECT")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Name, l.Title, l.Loopback)
	}
	return w.Flush()
}

type providersShow struct {
	Name string `arg:"" help:"Name from the list."`
}

// Run prints what an operator needs to register a client.
func (c *providersShow) Run(e *env) error {
	catalog := provider.Catalog()
	p, ok := catalog.Lookup(c.Name)
	if !ok {
		return &app.UsageError{Text: fmt.Sprintf("there is no provider %q; this build knows %s", c.Name, strings.Join(catalog.Names(), ", "))}
	}
	l := providerOf(p)
	if e.common.JSON {
		return e.printJSON(l)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, row := range [][2]string{
		{"name", l.Name},
		{"vendor", l.Title},
		{"authorization", l.Endpoints.Authorization},
		{"token", l.Endpoints.Token},
		{"revocation", orNone(l.Endpoints.Revocation)},
		{"api hosts", strings.Join(l.APIHosts, ", ")},
		{"register this redirect URI", redirectOf(p)},
		{"loopback redirect", l.Loopback},
		{"narrows tokens", narrowingOf(l)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	for _, s := range sortedKeys(p.Scope.Text) {
		fmt.Fprintf(w, "scope\t%s: %s\n", s, p.Scope.Text[s].Can)
	}
	for _, u := range l.Unverified {
		fmt.Fprintf(w, "not verified\t%s\n", u)
	}
	return w.Flush()
}

// narrowingOf says whether a vendor gives a token of fewer scopes than its account has.
func narrowingOf(l providerLine) string {
	if l.Narrows {
		return "yes: its accounts may be granted more than a workload's ceiling"
	}
	return "no: a workload gets none of an account that was granted more than its ceiling"
}

// redirectOf is what to register for the default public_url; a vendor that takes https only needs a certificate here (tls).
// `config check` says it for a connection and its public_url.
func redirectOf(p *provider.Provider) string {
	scheme, host := "http", cmp.Or(p.Redirect.Host, "127.0.0.1")
	if p.Redirect.Loopback == provider.HTTPSOnly {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s:8787/callback/CONNECTION", scheme, host)
}

type toolsCmd struct {
	List toolsList `cmd:"" help:"All of this build; the config's tools.groups says which are on."`
	Show toolsShow `cmd:"" help:"One: arguments, result, scopes."`
}

// toolLine is a tool as --json prints it.
type toolLine struct {
	Name        string   `json:"name"`
	Group       string   `json:"group"`
	Title       string   `json:"title"`
	Kind        string   `json:"kind"`
	Enabled     bool     `json:"enabled"`
	Description string   `json:"description"`
	Providers   []string `json:"providers"`
}

type toolsList struct{}

// Run prints a line per tool.
func (*toolsList) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lines := []toolLine{}
	for _, t := range app.AllTools() {
		lines = append(lines, toolOf(cfg, t))
	}
	if e.common.JSON {
		return e.printJSON(lines)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tPROVIDERS\tON\tWHAT IT DOES")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%s\n", l.Name, l.Kind, strings.Join(l.Providers, ", "), l.Enabled, l.Title)
	}
	return w.Flush()
}

func toolOf(cfg *config.Config, t tools.Tool) toolLine {
	l := toolLine{Name: t.Name, Group: t.Group, Title: t.Title, Kind: t.Kind.String(), Description: t.Description}
	for _, g := range cfg.Tools.Groups {
		l.Enabled = l.Enabled || g == t.Group
	}
	for _, n := range t.Needs() {
		l.Providers = append(l.Providers, n.Provider)
	}
	return l
}

type toolsShow struct {
	Name string `arg:"" help:"Name from the list."`
}

// toolPage is one tool as --json prints it.
type toolPage struct {
	toolLine
	Input  json.RawMessage `json:"input_schema"`
	Output json.RawMessage `json:"output_schema"`
}

// Run prints a tool's schemas and needs.
func (c *toolsShow) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	for _, t := range app.AllTools() {
		if t.Name != c.Name {
			continue
		}
		if e.common.JSON {
			return e.printJSON(toolPage{toolOf(cfg, t), t.Input, t.Output})
		}
		fmt.Fprintf(e.out, "%s (%s)\n%s\n\nArguments:\n%s\n\nResult:\n%s\n\nScopes:\n", t.Name, t.Kind, t.Description, t.Input, t.Output)
		for _, n := range t.Needs() {
			for _, g := range n.Groups {
				fmt.Fprintf(e.out, "  %s: one of %s\n", n.Provider, strings.Join(g, ", "))
			}
		}
		return nil
	}
	return &app.UsageError{Text: fmt.Sprintf("there is no tool %q; `grantry tools list` shows them", c.Name)}
}
