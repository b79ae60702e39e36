package datadir

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// checkFilesystem goes by the magic numbers of statfs(2). virtiofs reports
// FUSE's.
func checkFilesystem(dir string) ([]string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	return judge(dir, uint32(st.Type)) //nolint:unconvert // its type differs by architecture
}

func judge(dir string, magic uint32) ([]string, error) {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return nil, refuse(dir, "NFS")
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return nil, refuse(dir, "SMB")
	case unix.V9FS_MAGIC:
		return nil, refuse(dir, "9p")
	case unix.FUSE_SUPER_MAGIC:
		return warn(dir, "FUSE or virtiofs"), nil
	}
	return nil, nil
}
