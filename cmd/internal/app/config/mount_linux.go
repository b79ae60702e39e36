package config

import "golang.org/x/sys/unix"

// readOnlyMount says whether a folder lies on a read-only mount, as the
// configuration of a container does.
func readOnlyMount(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}
