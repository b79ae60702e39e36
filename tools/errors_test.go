package tools_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
)

// TestVendorsWordsNeverSurface plays answers that echo secrets where vendors put words and codes.
func TestVendorsWordsNeverSurface(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		code   string
	}{
		"message":                  {400, `{"error":{"code":400,"message":"canary"}}`, ""},
		"reason":                   {400, `{"error":{"errors":[{"reason":"canary","message":"canary"}]}}`, ""},
		"known reason":             {404, `{"error":{"message":"canary","errors":[{"reason":"notFound","message":"canary"}]}}`, "notFound"},
		"second reason":            {403, `{"error":{"errors":[{"reason":"canary"},{"reason":"domainPolicy"}]}}`, "domainPolicy"},
		"detail":                   {403, `{"error":{"status":"canary","details":[{"reason":"SERVICE_DISABLED","metadata":{"x":"canary"}}]}}`, "SERVICE_DISABLED"},
		"string":                   {500, `"canary"`, ""},
		"html":                     {502, `<html>canary</html>`, ""},
		"success not JSON":         {200, `canary`, ""},
		"success of another shape": {200, `{"canary":1}`, ""},
		"deep":                     {400, strings.Repeat(`{"error":`, 200) + `"canary"` + strings.Repeat(`}`, 200), ""},
		"nothing":                  {400, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := tooltest.NewSource(t, "google", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="canary"`)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			e := tooltest.Fails[*tools.APIError](t, getTool(http.MethodPost), src, `{"query":"x"}`)
			if e.Provider != "google" || e.Status != c.status || e.Code != c.code || e.Reason == "" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestTroubleOnTheLine(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	e := tooltest.Fails[*tools.APIError](t, getTool(http.MethodGet), tooltest.NewSourceAt(t, "google", down.URL), `{"query":"x"}`)
	if e.Status != 0 || !e.Temporary || !strings.Contains(e.Error(), "google could not be reached") {
		t.Errorf("down: %v", e)
	}

	cut := tooltest.NewSource(t, "google", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `["canary`)
	}))
	e = tooltest.Fails[*tools.APIError](t, getTool(http.MethodGet), cut, `{"query":"x"}`)
	if !e.Temporary || !strings.Contains(e.Reason, "could not be read") {
		t.Errorf("cut: %v", e)
	}

	huge := tooltest.NewSource(t, "google", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `["`)
		for range 9 << 4 {
			_, _ = io.WriteString(w, strings.Repeat("a", 64<<10))
		}
	}))
	e = tooltest.Fails[*tools.APIError](t, getTool(http.MethodGet), huge, `{"query":"x"}`)
	if e.Temporary || !strings.Contains(e.Reason, "ask for less") {
		t.Errorf("huge: %v", e)
	}
}

func TestACancelledCallSaysSo(t *testing.T) {
	t.Parallel()
	hang := tooltest.NewSource(t, "google", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := getTool(http.MethodPost).Call(ctx, hang, []byte(`{"query":"x"}`))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestHandlersOwnErrorsAreNotShown: an error that nobody classified could quote anything.
func TestHandlersOwnErrorsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("canary"), &net.OpError{Op: "dial", Err: errors.New("canary")}, io.ErrUnexpectedEOF} {
		tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
			tools.Via(googleNeed(), func(context.Context, *tools.Client, flat) (answer, error) { return answer{}, err }))
		tooltest.Fails[*tools.APIError](t, tool, tooltest.NewSource(t, "google", http.NotFoundHandler()), `{"query":"x"}`)
	}
}

func TestAResultOverTheCapIsRefused(t *testing.T) {
	t.Parallel()
	tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(context.Context, *tools.Client, flat) (answer, error) {
			return answer{Items: []string{strings.Repeat("a", tools.MaxResult)}}, nil
		}))
	e := tooltest.Fails[*tools.APIError](t, tool, tooltest.NewSource(t, "google", http.NotFoundHandler()), `{"query":"x"}`)
	if !strings.Contains(e.Reason, "ask for less") {
		t.Errorf("got %v", e)
	}
}

func TestAStatusThatIsNoErrorIsNotNamed(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{0: "slack x (y)", 200: "slack x (y)", 404: "slack x (y, HTTP 404)"} {
		if got := (&tools.APIError{Provider: "slack", Reason: "x", Code: "y", Status: status}).Error(); got != want {
			t.Errorf("%d: %q", status, got)
		}
	}
}
