//go:build unix && !darwin

package main

import (
	"os"
	"os/exec"
)

// opener shows a link in the desktop's browser; nil where there is no desktop, or nobody wants it.
func opener(off bool) func(string) error {
	if off || os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return func(link string) error { return start(exec.Command("xdg-open", link)) }
}
