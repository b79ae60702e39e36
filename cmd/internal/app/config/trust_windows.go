package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	mayRead  = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL
	mayWrite = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.WRITE_DAC | windows.WRITE_OWNER | windows.DELETE | windows.GENERIC_WRITE | windows.GENERIC_ALL
)

// checkTrusted refuses a configuration file that everybody on this machine
// may write, or whose folder they may write.
func checkTrusted(f *os.File) error {
	name := absolute(f.Name())
	return errors.Join(checkOthers(name, mayWrite, "write"), checkOthers(filepath.Dir(name), mayWrite, "write"))
}

// checkPrivate refuses a secret that everybody on this machine may read.
func checkPrivate(f *os.File) error {
	return checkOthers(absolute(f.Name()), mayRead|mayWrite, "read or write")
}

// checkOthers looks for an entry of the access list that allows any of mask
// to a group that all users are in.
func checkOthers(name string, mask windows.ACCESS_MASK, what string) error {
	sd, err := windows.GetNamedSecurityInfo(name, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("reading the permissions of %s: %w", name, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil || dacl == nil {
		return fmt.Errorf("%s has no access list: every user may %s it", name, what)
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return fmt.Errorf("reading the permissions of %s: %w", name, err)
		}
		inheritOnly := ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || inheritOnly || ace.Mask&mask == 0 {
			continue
		}
		if isEverybody((*windows.SID)(unsafe.Pointer(&ace.SidStart))) {
			return fmt.Errorf("every user may %s %s: take that permission away in its security settings", what, name)
		}
	}
	return nil
}

func isEverybody(sid *windows.SID) bool {
	return sid.IsWellKnown(windows.WinWorldSid) || sid.IsWellKnown(windows.WinAuthenticatedUserSid) || sid.IsWellKnown(windows.WinBuiltinUsersSid)
}

// ownedBySystem says no: there are no secrets mounts on Windows.
func ownedBySystem(string) bool { return false }

// shell runs a command line in cmd.exe, to the letter.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv("ComSpec"))
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd /D /S /C "` + line + `"`, HideWindow: true}
	return cmd
}
