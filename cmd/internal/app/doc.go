// Package app is the program as a value: it reads the configuration, wires the
// vault, the pages, the MCP server and the sandbox together, and runs them.
//
// Two ways to run, one vault:
//
//	Serve   one listener: /mcp, pages, discovery, health; people and agents prove themselves at an issuer
//	Stdio   MCP on stdin and stdout; pages on a loopback port that all processes of the vault share
//
// The vault opens at the first use (Vault), so that a client which only asks
// for the list of tools is answered without the key being read. This package
// alone reads configuration (package config below it); nothing imports it but cmd and e2e.
package app
