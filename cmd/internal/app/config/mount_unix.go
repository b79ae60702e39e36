//go:build unix && !linux

package config

// readOnlyMount says no: elsewhere the mode of a folder is what counts.
func readOnlyMount(string) bool { return false }
