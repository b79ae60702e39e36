package datadir

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// checkFilesystem goes by the name of the file system.
func checkFilesystem(dir string) ([]string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	switch name := unix.ByteSliceToString(st.Fstypename[:]); {
	case name == "nfs":
		return nil, refuse(dir, "NFS")
	case name == "smbfs" || name == "afpfs" || name == "webdav":
		return nil, refuse(dir, name)
	case strings.Contains(name, "fuse") || strings.Contains(name, "virtio"):
		return warn(dir, name), nil
	}
	return nil, nil
}
