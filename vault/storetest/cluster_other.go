//go:build !linux

package storetest

import "syscall"

// serverUser is the user who runs the tests.
func serverUser(string) (*syscall.SysProcAttr, error) { return nil, nil }
