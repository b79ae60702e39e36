package tools_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
)

// listening is a source that keeps what it hears.
type listening struct {
	tools.Source
	hosts    []string
	statuses []int
	bytes    int
	sent     int
}

func (l *listening) Sending() { l.sent++ }

func (l *listening) Answered(host string, status int) {
	l.hosts, l.statuses = append(l.hosts, host), append(l.statuses, status)
}

func (l *listening) Received(n int) { l.bytes += n }

// A source that wants to know hears of every answer, repeats included.
func TestObserverHearsEveryAnswer(t *testing.T) {
	t.Parallel()
	src := &listening{Source: tooltest.NewSource(t, "google", newVendor(http.StatusServiceUnavailable))}
	tooltest.Call[answer](t, getTool(http.MethodGet), src, `{"query":"x"}`)
	if !slices.Equal(src.statuses, []int{503, 200}) || !slices.Equal(src.hosts, []string{"www.googleapis.com", "www.googleapis.com"}) {
		t.Errorf("heard %v of %v", src.statuses, src.hosts)
	}
	if src.sent != 2 {
		t.Errorf("heard of %d requests", src.sent)
	}
	if want := len(`{}`) + len(`["one","two"]`); src.bytes != want {
		t.Errorf("%d bytes, want %d", src.bytes, want)
	}
}

// A request that never left has done nothing.
func TestObserverHearsNothingOfWhatWasNotSent(t *testing.T) {
	t.Parallel()
	src := &listening{Source: tooltest.NewSourceAt(t, "google", "http://127.0.0.1:1/api")}
	tooltest.Fails[*tools.APIError](t, getTool(http.MethodPost), src, `{"query":"x"}`)
	if src.sent != 0 || src.statuses != nil {
		t.Errorf("heard of %d requests and %v", src.sent, src.statuses)
	}
}
