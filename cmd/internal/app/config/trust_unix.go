//go:build unix

package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// checkTrusted refuses a configuration file that anybody but root and us
// could have written: by its mode, by its owner, or by a folder in which they
// could have replaced it.
func checkTrusted(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checking the configuration: %w", err)
	}
	return errors.Join(
		checkMode(f.Name(), info),
		checkOwner(f.Name(), info),
		checkFolders(f.Name()),
	)
}

func checkMode(name string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("%s can be written by others (mode %04o): run chmod go-w %s and check what is in it", name, info.Mode().Perm(), name)
}

func checkOwner(name string, info fs.FileInfo) error {
	owner := ownerOf(info)
	if owner == 0 || owner == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s belongs to another user (uid %d): it must belong to root or to the user that runs Grantry (uid %d)", name, owner, os.Geteuid())
}

// checkFolders looks at the folder of the name and, behind symbolic links, of
// the file itself.
func checkFolders(name string) error {
	dirs := []string{filepath.Dir(absolute(name))}
	if real, err := filepath.EvalSymlinks(name); err != nil {
		return fmt.Errorf("checking the configuration: %w", err)
	} else if dir := filepath.Dir(absolute(real)); dir != dirs[0] {
		dirs = append(dirs, dir)
	}
	var errs []error
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("checking the configuration: %w", err)
		}
		if readOnlyMount(dir) {
			continue // nobody can write, whatever the mode says
		}
		errs = append(errs, checkOwner(dir, info))
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			errs = append(errs, fmt.Errorf("%s can be written by others (mode %04o), who could replace the configuration in it: run chmod go-w %s", dir, info.Mode().Perm(), dir))
		}
	}
	return errors.Join(errs...)
}

// checkPrivate refuses a secret that others can read.
func checkPrivate(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return cause(err)
	}
	if info.Mode().Perm()&0o066 != 0 {
		return fmt.Errorf("others can read or write it (mode %04o): run chmod go-rwx %s", info.Mode().Perm(), f.Name())
	}
	return nil
}

// ownedBySystem says whether a folder belongs to root, or to us: systemd
// gives a user's own services a credentials folder of their own.
func ownedBySystem(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && (ownerOf(info) == 0 || ownerOf(info) == os.Geteuid())
}

func ownerOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// shell runs a command line in sh. When the context ends, everything that it
// started ends with it.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
