package datadir

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// checkFilesystem refuses network drives and UNC paths.
func checkFilesystem(dir string) ([]string, error) {
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return nil, fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return nil, refuse(dir, "a network drive")
	}
	return nil, nil
}
