// Package config reads grantry.yaml: strictly, and from a safe place only.
//
// One table (keys.go) names every key with its type, its default and a
// sentence. The parser walks the YAML syntax tree along that table, and
// [Keys] prints it, so that parser, defaults and documentation cannot drift
// apart. Everything that is wrong in a file is reported at once, as a
// [Problems], one line each, in the order of the file.
//
// Two things hold whatever the file contains. No message quotes a value of
// the file: a line number is enough to find it, and any value may be a secret
// that slipped into the wrong key. And the file never comes from the working
// directory, because MCP clients start us inside repositories that strangers
// wrote; a file that others could have written is refused.
//
// The package reads configuration and nothing else: it opens no vault, makes
// no folder and contacts nobody. Secrets stay references ([SecretRef]) until
// somebody resolves them.
package config
