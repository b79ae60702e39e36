package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newScreen is a pseudo-terminal: what is written to tty can be read from screen.
func newScreen(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// TestProgressBar shows long work as a bar on a terminal, and leaves nothing of it behind.
func TestProgressBar(t *testing.T) {
	t.Parallel()
	screen, tty := newScreen(t)
	p := (&env{streams: streams{err: tty}}).progress("wrapping data keys")
	for done := range int64(5) {
		p.set(done*25, 100)
		time.Sleep(2 * barEvery)
	}
	p.end()
	buf := make([]byte, 1<<16)
	n, err := screen.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(buf[:n])
	for _, want := range []string{"wrapping data keys", " 50%", "(50/100"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the terminal shows %q, without %q", shown, want)
		}
	}
	if last := shown[strings.LastIndexByte(shown[:max(0, len(shown)-1)], '\r')+1:]; strings.TrimSpace(last) != "" {
		t.Errorf("left on the line: %q", last)
	}
}
