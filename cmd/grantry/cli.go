package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault/provider"
)

const description = "A token vault for AI agents on your own machine. Agents get tools over MCP, never tokens."

// cli is the command tree; its tags are the help.
type cli struct {
	Common common `embed:"" group:"Common flags:"`

	Stdio       stdioCmd       `cmd:"" help:"MCP over stdin and stdout, for a desktop or IDE client."`
	Serve       serveCmd       `cmd:"" help:"MCP at /mcp and the pages, for remote agents."`
	Connect     connectCmd     `cmd:"" help:"Connect an account at a vendor."`
	Signin      signinCmd      `cmd:"" help:"Sign a browser in to a vault of one person: a link, a code, a QR code."`
	Connections connectionsCmd `cmd:"" help:"Connected accounts: list, show, revoke; confirm a connection's new addresses."`
	Access      accessCmd      `cmd:"" help:"Which agents may use which accounts: list, revoke."`
	Users       usersCmd       `cmd:"" help:"The people of this vault: list, show, delete."`
	Backup      backupCmd      `cmd:"" help:"Write a copy of the vault to a file, without its key."`
	Restore     restoreCmd     `cmd:"" help:"Make a backup the vault; confirm that a copy is the one that lives."`
	Audit       auditCmd       `cmd:"" help:"Who did what with which account: look, export, prove that nothing is missing."`
	Keys        keysCmd        `cmd:"" help:"The keys that seal the vault: status, add, activate, rotate, retire."`
	Providers   providersCmd   `cmd:"" help:"The vendors that this build knows."`
	Tools       toolsCmd       `cmd:"" help:"The tools that agents get."`
	Config      configCmd      `cmd:"" help:"The configuration file."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	Build buildCommands `embed:""`
}

// common are the flags of every command.
type common struct {
	Config    given  `help:"Configuration file. Default: $$GRANTRY_CONFIG, else grantry/grantry.yaml in your config folder; never the working directory." placeholder:"FILE"`
	DataDir   given  `help:"Folder of the vault." placeholder:"DIR"`
	Listen    given  `help:"Address of pages and server; port 0 = any free one." placeholder:"ADDR"`
	Sandbox   bool   `help:"Use made-up vendors and people, with a vault of its own."`
	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"text or json." enum:"text,json" default:"text"`
	JSON      bool   `help:"Print lists as JSON." name:"json"`
}

// env is what a command runs with.
type env struct {
	streams
	ctx    context.Context
	common *common
	cfg    *config.Config // once a command has opened the program
	app    *app.App
}

func (e *env) close() {
	if e.app != nil {
		if err := e.app.Close(); err != nil {
			fmt.Fprintln(e.err, "grantry: closing:", err)
		}
	}
}

func (e *env) logger() *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(e.common.LogLevel)) // kong holds the list of levels
	o := &slog.HandlerOptions{Level: level}
	if e.common.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(e.err, o))
	}
	return slog.New(slog.NewTextHandler(e.err, o))
}

// config reads the configuration; its problems are for the person, all at once.
func (e *env) config() (*config.Config, error) {
	cfg, err := config.Load(e.ctx, config.Options{
		File: string(e.common.Config), DataDir: string(e.common.DataDir), Listen: string(e.common.Listen), Sandbox: e.common.Sandbox,
		Providers: providerRules(provider.Catalog()), Tools: app.ToolNames,
	})
	var problems *config.Problems
	if err != nil && !errors.As(err, &problems) {
		err = usage(err)
	}
	return cfg, err
}

// usage marks a problem of the configuration, so that the exit code is 2.
func usage(err error) error { return &app.UsageError{Text: err.Error()} }

// counted is "1 problem" or "2 problems".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// providerRules says which keys a connection must and must not have: the
// generic providers have no addresses of their own, the others have nothing to discover.
func providerRules(catalog *provider.Set) map[string]config.ProviderRule {
	rules := map[string]config.ProviderRule{}
	for _, name := range catalog.Names() {
		rules[name] = config.ProviderRule{Forbidden: []string{"issuer", "api_hosts", "token", "tenant"}}
	}
	rules["slack"] = config.ProviderRule{Forbidden: []string{"issuer", "api_hosts", "tenant"}}
	rules["microsoft"] = config.ProviderRule{Forbidden: []string{"issuer", "api_hosts", "token"}}
	rules["oidc"] = config.ProviderRule{Required: []string{"issuer"}, Forbidden: []string{"token", "tenant"}}
	rules["oauth2"] = config.ProviderRule{
		Required: []string{"endpoints.authorization", "endpoints.token", "api_hosts"}, Forbidden: []string{"issuer", "token", "tenant"},
	}
	return rules
}

// open makes the program; o has what differs from command to command.
func (e *env) open(o app.Options) (*app.App, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	o.Config, o.Version, o.Logger = cfg, versionOf(version, debug.ReadBuildInfo), e.logger()
	if len(cfg.Ignored) > 0 {
		o.Logger.Info("the sandbox does not use parts of the config", "keys", cfg.Ignored)
	}
	e.cfg = cfg
	e.app, err = app.New(o)
	return e.app, err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
