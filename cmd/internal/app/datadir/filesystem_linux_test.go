package datadir

import (
	"strings"
	"testing"
)

// TestJudge stands inside the package: a test cannot mount these.
func TestJudge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		magic uint32
		err   string
		warns bool
	}{
		{"ext4", 0xef53, "", false},
		{"tmpfs", 0x01021994, "", false},
		{"overlay", 0x794c7630, "", false},
		{"nfs", 0x6969, "on NFS", false},
		{"smb", 0x517b, "on SMB", false},
		{"smb2", 0xfe534d42, "on SMB", false},
		{"cifs", 0xff534d42, "on SMB", false},
		{"9p", 0x01021997, "on 9p", false},
		{"fuse and virtiofs", 0x65735546, "", true},
	}
	for _, tc := range tests {
		warnings, err := judge("/data", tc.magic)
		if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v, want an error with %q", tc.name, err, tc.err)
		}
		if (len(warnings) > 0) != tc.warns {
			t.Errorf("%s: warnings %q", tc.name, warnings)
		}
	}
}
