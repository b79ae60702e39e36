//go:build unix

package app

import (
	"errors"

	"golang.org/x/sys/unix"
)

// inUse says whether listening failed because somebody else holds the port.
func inUse(err error) bool { return errors.Is(err, unix.EADDRINUSE) }
