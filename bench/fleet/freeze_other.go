//go:build !unix

package fleet

import "errors"

// Freeze cannot be done here.
func (p *Process) Freeze() error { return errors.ErrUnsupported }

// Thaw has nothing to undo.
func (p *Process) Thaw() error { return nil }
