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
}

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
	if want := len(`{}`) + len(`["one","two"]`); src.bytes != want {
		t.Errorf("%d bytes, want %d", src.bytes, want)
	}
}
