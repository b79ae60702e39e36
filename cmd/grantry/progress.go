package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

// progress shows on stderr how far long work is: a bar on a terminal, a line now
// and then elsewhere, nothing for work that is done at once. It is safe for concurrent use.
type progress struct {
	what string
	out  io.Writer
	bar  *progressbar.ProgressBar // nil where there is no terminal

	mu   sync.Mutex
	done int64
	said time.Time
}

// progress begins to show work by the name of what.
func (e *env) progress(what string) *progress {
	p := &progress{what: what, out: e.err, said: time.Now()}
	if f, ok := e.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(what),
			progressbar.OptionThrottle(barEvery), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	}
	return p
}

// set says that done of total is done. What is less than before is old news from another goroutine.
func (p *progress) set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if done < p.done {
		return
	}
	p.done = done
	if p.bar != nil {
		p.bar.ChangeMax64(total)
		_ = p.bar.Set64(done)
		return
	}
	if time.Since(p.said) >= lineEvery && total > 0 {
		p.said = time.Now()
		fmt.Fprintf(p.out, "%s: %d of %d (%d%%)\n", p.what, done, total, 100*done/total)
	}
}

// end clears the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
