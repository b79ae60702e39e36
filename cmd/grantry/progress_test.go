package main

import (
	"bytes"
	"testing"
	"time"
)

// TestProgressLines: without a terminal work that lasts shows a line now and then, and never goes back.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := (&env{streams: streams{err: &out}}).progress("data keys")
	p.set(10, 100)
	p.said = p.said.Add(-lineEvery - time.Second)
	p.set(50, 100)
	p.set(60, 100)
	p.said = p.said.Add(-lineEvery - time.Second)
	p.set(40, 100)
	p.set(75, 100)
	p.end()
	if want := "data keys: 50 of 100 (50%)\ndata keys: 75 of 100 (75%)\n"; out.String() != want {
		t.Errorf("shown %q, want %q", &out, want)
	}
}
