package seal

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrOpen says that a blob or a wrapped key does not open: it was changed,
	// cut, or sealed for another place or under another key.
	ErrOpen = errors.New("sealed value does not open")
	// ErrNoKey says that a source holds no key: the file is not there, the
	// variable is not set, or nothing but comments was found.
	ErrNoKey = errors.New("no key")
	// ErrSourceUnavailable says that this build cannot read a key source whose
	// scheme is known. The error that wraps it names the scheme.
	// The cloud schemes (awskms, gcpkms, azurekeyvault, hashivault) are in builds
	// with the tag cloudkms: go build -tags cloudkms ./cmd/grantry.
	ErrSourceUnavailable = errors.New("key source not available in this build")
	// ErrReadOnly says that a key file lies under a secrets mount: whoever fills
	// the mount adds the line there.
	ErrReadOnly = errors.New("key file lies under a secrets mount")
	// ErrLastKey says that a key was not removed because its source has no other.
	ErrLastKey = errors.New("the last key of a source is not removed")
	// ErrNoKeychain says that this machine has no keychain, or none that answers:
	// no session bus, no service on it, or a person who closed its dialog.
	ErrNoKeychain = errors.New("no keychain answers on this machine")
)

// UnknownKeyError says that a data key is wrapped under a KEK that is not at
// hand. It does not prove that the wrapped key is intact.
type UnknownKeyError struct {
	// ID names the missing KEK.
	ID KeyID
}

// Error names the missing key by its id.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("key %s is not at hand", e.ID)
}

// PermissionError says that others than the owner may read or write a key file.
type PermissionError struct {
	// Path is the file as the source names it.
	Path string
	// Mode holds the permission bits that were found; 0600 and 0400 are accepted.
	Mode fs.FileMode
}

// Error names the file and its mode.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("key file %s has mode %04o, and must have 0600 or 0400", e.Path, e.Mode.Perm())
}
