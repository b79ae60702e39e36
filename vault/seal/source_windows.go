package seal

import (
	"io/fs"
	"os"
)

func openKeyFile(path string) (*os.File, error) { return os.Open(path) }

// ownersOnly is true: Windows has access lists in place of mode bits, and files
// in a user's profile are that user's by default.
func ownersOnly(fs.FileInfo) bool { return true }

// rootOwned is false: there are no secrets mounts.
func rootOwned(string) bool { return false }

// syncDir does nothing: NTFS journals names.
func syncDir(string) error { return nil }
