//go:build !unix

package fleet

import "errors"

// fill cannot be done here.
func fill(string) error { return errors.ErrUnsupported }

// free has nothing to undo.
func free() error { return nil }
