package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestDrawnQR reads the picture back, module by module.
func TestDrawnQR(t *testing.T) {
	t.Parallel()
	code, err := qr.Encode("https://grantry.example.com/pair", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(drawn(code), "\n"), "\n")
	if want := (code.Size + 2*quiet + 1) / 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for i, line := range lines {
		row := []rune(strings.TrimPrefix(line, "  "))
		if len(row) != code.Size+2*quiet {
			t.Fatalf("line %d has %d modules, want %d", i, len(row), code.Size+2*quiet)
		}
		for j, r := range row {
			x, y := j-quiet, 2*i-quiet
			upper, lower := strings.ContainsRune("█▀", r), strings.ContainsRune("█▄", r)
			if upper == code.Black(x, y) || lower == code.Black(x, y+1) {
				t.Fatalf("module %d,%d is %q", x, y, r)
			}
		}
	}
}
