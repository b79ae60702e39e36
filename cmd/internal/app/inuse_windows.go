package app

import (
	"errors"

	"golang.org/x/sys/windows"
)

// inUse says whether listening failed because somebody else holds the port.
func inUse(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}
