package config

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

// SecretRef says where a secret is: env:NAME, file:PATH or exec:COMMAND. It
// never holds the secret. Printed, it names an environment variable or a
// file, and of a command only that it is one.
type SecretRef struct {
	scheme, target string
	dir            string // where a command runs
	env            func(string) string
}

// NamedSecret is a secret reference and the key that holds it.
type NamedSecret struct {
	Path string // "connections.google.client_secret"
	Ref  SecretRef
}

// IsZero says whether there is no reference.
func (s SecretRef) IsZero() bool { return s.scheme == "" }

// String is "env:NAME", "file:PATH", "exec:…", or "" for none.
func (s SecretRef) String() string { return shownReference(s.scheme, s.target) }

// Format writes String for every verb.
func (s SecretRef) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, s.String()) }

// LogValue is String.
func (s SecretRef) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String.
func (s SecretRef) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// KeySource says where the vault's key comes from. Printed, it shows of a
// command only that it is one.
type KeySource struct{ scheme, target string }

// Scheme is "file", "env", "keychain", "exec", "awskms", "gcpkms",
// "azurekeyvault" or "hashivault"; "" for none.
func (k KeySource) Scheme() string { return k.scheme }

// Target is what follows the scheme: an absolute path for file, a variable's
// name for env, a command line for exec, all after "scheme://" for the
// remote ones; "" where the keychain's own entry is meant. A command line may
// hold secrets: do not print it.
func (k KeySource) Target() string { return k.target }

// String is "file:PATH", "env:NAME", "exec:…", "awskms://…".
func (k KeySource) String() string {
	if remote(k.scheme) {
		return k.scheme + "://" + k.target
	}
	return shownReference(k.scheme, k.target)
}

// Format writes String for every verb.
func (k KeySource) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, k.String()) }

// LogValue is String.
func (k KeySource) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String.
func (k KeySource) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Command is a command line for the system's shell (sh -c; cmd /C on
// Windows). Printed, it shows only that it is one.
type Command struct{ line string }

// IsZero says whether there is no command.
func (c Command) IsZero() bool { return c.line == "" }

// Line is the command line itself, which may hold secrets.
func (c Command) Line() string { return c.line }

// String is "exec:…", or "" for none.
func (c Command) String() string {
	if c.line == "" {
		return ""
	}
	return shownReference("exec", c.line)
}

// Format writes String for every verb.
func (c Command) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// LogValue is String.
func (c Command) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String.
func (c Command) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func shownReference(scheme, target string) string {
	switch scheme {
	case "":
		return ""
	case "exec":
		return "exec:…"
	}
	return scheme + ":" + target
}

func remote(scheme string) bool {
	return scheme == "awskms" || scheme == "gcpkms" || scheme == "azurekeyvault" || scheme == "hashivault"
}

// secret is a reference to a secret, never the secret itself.
func secret() rule[SecretRef] {
	return scalar("secret reference", parseSecret)
}

func parseSecret(r *reader, path, s string) (SecretRef, string) {
	scheme, target, ok := strings.Cut(s, ":")
	if !ok || scheme != "env" && scheme != "file" && scheme != "exec" {
		return SecretRef{}, "must be a reference (env:NAME, file:PATH or exec:COMMAND), never the secret itself"
	}
	target, why := r.target(scheme, target)
	if why != "" {
		return SecretRef{}, why
	}
	ref := SecretRef{scheme: scheme, target: target, dir: r.base, env: r.env}
	r.secrets = append(r.secrets, NamedSecret{Path: path, Ref: ref})
	return ref, ""
}

// target checks what follows env:, file: and exec:.
func (r *reader) target(scheme, s string) (target, why string) {
	switch {
	case scheme == "env" && !isVariable(s):
		return "", "env: needs the name of an environment variable, such as env:GOOGLE_SECRET"
	case scheme == "file" && s == "":
		return "", "file: needs a path, such as file:/run/secrets/google"
	case scheme == "file":
		return r.resolve(s)
	case scheme == "exec" && strings.TrimSpace(s) == "":
		return "", "exec: needs a command, such as exec:pass show grantry"
	}
	return s, ""
}

func isVariable(s string) bool {
	for i, c := range []byte(s) {
		if !isLower(c) && !isUpper(c) && c != '_' && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

// keySource is where the vault's key comes from.
func keySource() rule[KeySource] {
	const want = "must be one of file:PATH, env:NAME, keychain:, exec:COMMAND, awskms://…, gcpkms://…, azurekeyvault://…, hashivault://…; never the key itself"
	return scalar("key source", func(r *reader, _, s string) (KeySource, string) {
		scheme, rest, ok := strings.Cut(s, ":")
		switch {
		case !ok:
			return KeySource{}, want
		case scheme == "keychain":
			return KeySource{scheme, rest}, ""
		case remote(scheme):
			rest, ok = strings.CutPrefix(rest, "//")
			if !ok || rest == "" {
				return KeySource{}, "must be " + scheme + "://… with the name of a key"
			}
			return KeySource{scheme, rest}, ""
		case scheme != "file" && scheme != "env" && scheme != "exec":
			return KeySource{}, want
		}
		target, why := r.target(scheme, rest)
		return KeySource{scheme, target}, why
	})
}

// command is exec:COMMAND.
func command() rule[Command] {
	return scalar("command", func(_ *reader, _, s string) (Command, string) {
		line, ok := strings.CutPrefix(s, "exec:")
		if !ok || strings.TrimSpace(line) == "" {
			return Command{}, "must be exec:COMMAND"
		}
		return Command{line}, ""
	})
}

// fileOrURL is an absolute path or an https URL.
func fileOrURL() rule[string] {
	return scalar("path or URL", func(r *reader, path, s string) (string, string) {
		if strings.Contains(s, "://") {
			return parseVendorURL(r, path, s)
		}
		return r.resolve(strings.TrimPrefix(s, "file:"))
	})
}

// keySet is where a workload's public keys are: an https URL or file:PATH.
func keySet() rule[string] {
	return scalar("file:PATH or URL", func(r *reader, path, s string) (string, string) {
		name, ok := strings.CutPrefix(s, "file:")
		if !ok {
			return parseVendorURL(r, path, s)
		}
		name, why := r.resolve(name)
		return "file:" + name, why
	})
}

// Database says where the vault's rows are: in a file of the data folder, or on
// a PostgreSQL server, whose URL holds a password and is never printed.
type Database struct {
	literal provider.Secret
	ref     SecretRef
	remote  bool
}

// IsFile says whether the database is SQLite's, in the data folder.
func (d Database) IsFile() bool { return !d.remote }

// URL answers postgres://…, read from where a reference points.
func (d Database) URL(ctx context.Context) (provider.Secret, error) {
	if d.ref.IsZero() {
		return d.literal, nil
	}
	return d.ref.Resolve(ctx)
}

// String is "sqlite", "postgres://…", or the reference.
func (d Database) String() string {
	switch {
	case !d.remote:
		return "sqlite"
	case d.ref.IsZero():
		return "postgres://…"
	}
	return d.ref.String()
}

// Format writes String for every verb.
func (d Database) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, d.String()) }

// LogValue is String.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText is String.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// store is sqlite, or PostgreSQL's URL or a reference to it.
func store() rule[Database] {
	return scalar("sqlite | postgres://…", func(r *reader, path, s string) (Database, string) {
		scheme, _, _ := strings.Cut(s, ":")
		switch scheme {
		case "sqlite":
			if s == "sqlite" {
				return Database{}, ""
			}
		case "postgres", "postgresql":
			if strings.HasPrefix(s, scheme+"://") {
				return Database{literal: provider.NewSecret(s), remote: true}, ""
			}
		case "env", "file", "exec":
			ref, why := parseSecret(r, path, s)
			return Database{ref: ref, remote: true}, why
		}
		return Database{}, "must be sqlite, postgres://…, or a reference to such a URL (env:NAME, file:PATH or exec:COMMAND)"
	})
}
