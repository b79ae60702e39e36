package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// claimStdout takes standard output for MCP alone (R45): the file that it answers is
// the one way there, and whatever else prints to os.Stdout prints to standard error.
func claimStdout() (*os.File, error) {
	out := os.Stdout
	if err := windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(os.Stderr.Fd())); err != nil {
		return nil, fmt.Errorf("taking standard output for MCP: %w", err)
	}
	os.Stdout = os.Stderr
	return out, nil
}

// socketIsLocal is for systems on which standard input can be a socket.
func socketIsLocal(*os.File) bool { return false }
