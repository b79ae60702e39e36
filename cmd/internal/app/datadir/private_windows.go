package datadir

import "io/fs"

// checkPrivate takes the folder as it is: its access list is inherited from
// the user's own folders.
func checkPrivate(string, fs.FileInfo) error { return nil }
