package sqlstore

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// fileMarks tells a file from a copy of it. The handle asks for no access to the
// data, and Windows' locks belong to handles, so SQLite's stay. A file that takes
// a removed one's name at once inherits its birth, but not its number.
func fileMarks(path string) (kind string, marks [3]uint64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return "", marks, fmt.Errorf("looking at the database file: %w", err)
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	h, err := windows.CreateFile(name, 0, share, nil, windows.OPEN_EXISTING, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return "", marks, fmt.Errorf("looking at the database file: %w", err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return "", marks, fmt.Errorf("looking at the database file: %w", err)
	}
	return "index and birth", [3]uint64{
		uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
		uint64(info.VolumeSerialNumber), uint64(info.CreationTime.Nanoseconds()), //nolint:gosec // only compared
	}, nil
}
