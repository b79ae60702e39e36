package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionOf(t *testing.T) {
	t.Parallel()
	built := func(version string, ok bool) func() (*debug.BuildInfo, bool) {
		return func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{Main: debug.Module{Version: version}}, ok
		}
	}
	for _, c := range []struct {
		name, linked, want string
		info               func() (*debug.BuildInfo, bool)
	}{
		{"make build", "v1.2.3-4-gabc", "v1.2.3-4-gabc", built("(devel)", true)},
		{"go install", "", "v1.2.3", built("v1.2.3", true)},
		{"go build in a work tree", "", "dev", built("(devel)", true)},
		{"no build info", "", "dev", built("v9", false)},
	} {
		if got := versionOf(c.linked, c.info); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
