//go:build !conformance

package main

// buildCommands are the commands of one kind of build alone; this kind has none.
type buildCommands struct{}
