package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report prints a line at each interval.
func (w *world) report(ctx context.Context) {
	start := time.Now()
	tick := time.NewTicker(w.cfg.report)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.line(start)
		case <-ctx.Done():
			return
		}
	}
}

// line says what has happened until now; start zero means the end.
func (w *world) line(start time.Time) {
	at := "end"
	if !start.IsZero() {
		at = time.Since(start).Round(time.Second).String()
	}
	t := &w.tally
	rss, files := w.resources()
	w.print("%5s: %d exchanges, %d refreshes, %d kills, %d freezes; cut off %d, vendor away %d, vault busy %d, token too old %d; "+
		"lost: %d by kills, %d by lost answers, %d UNEXPLAINED; memory %s MB, files %s, WAL %.1f MB",
		at, t.exchanges.Load(), w.vendor.Total().Refreshes, t.kills.Load(), t.freezes.Load(), t.interrupted.Load(), t.unreachable.Load(),
		t.degraded.Load(), t.refused.Load(), t.killed.Load(), t.unanswered.Load(), t.unexplained.Load(), rss, files, w.wal())
}

// resources are resident memory and open files of each process, where the system tells.
func (w *world) resources() (rss, files string) {
	var mb, fds []string
	for i := range w.slots {
		p := w.slots[i].Load()
		mb = append(mb, fmt.Sprintf("%.0f", resident(p.PID())))
		open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
		fds = append(fds, fmt.Sprint(len(open)))
	}
	return strings.Join(mb, "+"), strings.Join(fds, "+")
}

// resident is a process's memory in MB, 0 when it cannot be told.
func resident(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	var kb float64
	if !found {
		return 0
	}
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb / 1024
}

// wal is the size of SQLite's write-ahead log in MB.
func (w *world) wal() float64 {
	if !filepath.IsAbs(w.fleet.Store()) {
		return 0
	}
	info, err := os.Stat(w.fleet.Store() + "-wal")
	if err != nil {
		return 0
	}
	return float64(info.Size()) / (1 << 20)
}

func (w *world) print(format string, args ...any) {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	fmt.Fprintf(w.out, format+"\n", args...)
}
