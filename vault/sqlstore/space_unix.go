//go:build linux || darwin

package sqlstore

import "golang.org/x/sys/unix"

// freeSpace answers how many bytes the file system of dir has left for this user.
func freeSpace(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // a block size is small and positive
}
