//go:build unix

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// claimStdout takes standard output for MCP alone (R45): the file that it answers is
// the one way there, and whatever else prints to it, through os.Stdout or the
// descriptor, prints to standard error.
func claimStdout() (*os.File, error) {
	fd, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("taking standard output for MCP: %w", err)
	}
	if err := unix.Dup2(int(os.Stderr.Fd()), int(os.Stdout.Fd())); err != nil {
		return nil, fmt.Errorf("taking standard output for MCP: %w", err)
	}
	return os.NewFile(uintptr(fd), "MCP"), nil
}

// socketIsLocal says whether a socket leads to a process of this machine. Node gives its children such ones as pipes.
func socketIsLocal(f *os.File) bool {
	address, err := unix.Getsockname(int(f.Fd()))
	_, local := address.(*unix.SockaddrUnix)
	return err == nil && local
}
