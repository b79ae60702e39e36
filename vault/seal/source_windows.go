package seal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

func openKeyFile(path string) (*os.File, error) { return os.Open(path) }

// ownersOnly is true: Windows has access lists in place of mode bits, and files
// in a user's profile are that user's by default.
func ownersOnly(fs.FileInfo) bool { return true }

// rootOwned is false: there are no secrets mounts.
func rootOwned(string) bool { return false }

// giveTo does nothing: a file gets its folder's access list.
func giveTo(*os.File, fs.FileInfo) error { return nil }

// tryLock takes an exclusive lock without waiting; it ends with the file's handle.
func tryLock(f *os.File) (bool, error) {
	var o windows.Overlapped
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &o)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// syncDir does nothing: NTFS journals names.
func syncDir(string) error { return nil }

// shell runs a command line in cmd.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv("ComSpec"))
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd /D /S /C "` + line + `"`, HideWindow: true}
	return cmd
}

func rootDir() string { return filepath.VolumeName(os.Getenv("SystemRoot")) + `\` }

// inherited are the variables that a command is given: where programs and their
// files are.
func inherited() []string {
	return []string{
		"PATH", "PATHEXT", "ComSpec", "SystemRoot", "SystemDrive", "TEMP", "TMP", "USERNAME", "USERPROFILE",
		"HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "ProgramData", "ProgramFiles",
	}
}
