package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Marker is the name of the file that marks a sandbox's folder.
const Marker = "SANDBOX"

const markerText = "This folder belongs to `grantry --sandbox`: fake vendors, fake accounts. It may be deleted.\n"

// Ensure makes the data folder if it is not there, with mode 0700 whatever the
// umask says, and checks it: an absolute path to a folder of ours that nobody
// else can enter, on a file system that is not NFS, SMB or 9p. Warnings are
// sentences for the log, about file systems that may lock badly. On Windows
// the access list comes from the user's own folders and is not looked at.
func Ensure(dir string) (warnings []string, err error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("the data folder %s must be an absolute path: set data_dir, or give --data-dir", dir)
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = makeFolder(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("making the data folder %s: %w; set data_dir, or give --data-dir", dir, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the data folder %s is a file: set data_dir, or give --data-dir", dir)
	}
	if err := checkPrivate(dir, info); err != nil {
		return nil, err
	}
	return checkFilesystem(dir)
}

// makeFolder makes dir and the folders above it that are missing.
func makeFolder(dir string) (fs.FileInfo, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist): // another process of ours was faster, or it is a dangling link
		return os.Stat(dir)
	case err != nil:
		return nil, err
	}
	// A umask may have taken bits away from the owner.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return os.Stat(dir)
}

// MarkSandbox keeps the sandbox's vault and real ones apart. For a sandbox it
// marks an empty folder, and refuses one that holds anything without a mark;
// otherwise it refuses a marked one. Call it after [Ensure] and before
// anything is written to the folder.
func MarkSandbox(dir string, sandbox bool) error {
	marked, err := isMarked(dir)
	switch {
	case err != nil:
		return fmt.Errorf("looking for the sandbox's mark: %w", err)
	case !sandbox && marked:
		return fmt.Errorf("%s belongs to the sandbox: start with --sandbox, or use another folder with --data-dir", dir)
	case !sandbox || marked:
		return nil
	}
	return mark(dir)
}

func isMarked(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, Marker))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mark puts the marker into an empty folder. Several processes may do so at
// once: one that finds the folder filled looks for the marker again.
func mark(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w", err)
	}
	if len(entries) > 0 {
		if marked, err := isMarked(dir); err != nil || marked {
			return err
		}
		return fmt.Errorf("%s holds a vault that is not the sandbox's: start without --sandbox, or use another folder with --data-dir", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, Marker), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("marking the sandbox's folder: %w", err)
	}
	_, err = f.WriteString(markerText)
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("marking the sandbox's folder: %w", err)
	}
	return nil
}

// refuse is the error for a file system that cannot hold a SQLite vault.
func refuse(dir, filesystem string) error {
	return fmt.Errorf("%s is on %s, where SQLite's locks cannot be trusted: use a folder on a local disk with --data-dir or data_dir", dir, filesystem)
}

// warn is the sentence for a file system that may be slow or lock badly.
func warn(dir, filesystem string) []string {
	return []string{fmt.Sprintf("%s is on %s: make sure that only this machine uses it, and that it honours locks and syncs; a local disk is safer", dir, filesystem)}
}
