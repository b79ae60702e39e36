package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker; a build without it (go install) asks what Go noted down.
var version string

func versionOf(linked string, read func() (*debug.BuildInfo, bool)) string {
	if linked != "" {
		return linked
	}
	if info, ok := read(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

type versionCmd struct{}

// Run prints the version, and what it was built with and for.
func (*versionCmd) Run(e *env) error {
	_, err := fmt.Fprintf(e.out, "grantry %s (%s, %s/%s)\n", versionOf(version, debug.ReadBuildInfo), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
