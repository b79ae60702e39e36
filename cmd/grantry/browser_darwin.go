package main

import "os/exec"

// opener shows a link in the desktop's browser; nil when nobody wants it.
func opener(off bool) func(string) error {
	if off {
		return nil
	}
	return func(link string) error { return start(exec.Command("open", link)) }
}
