package tools_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
	"github.com/grantry/grantry/vault/provider"
)

const thingsURL = "https://www.googleapis.com/drive/v3/things"

// getTool asks the API once with this method and answers what it says.
func getTool(method string) tools.Tool {
	return tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(ctx context.Context, c *tools.Client, _ flat) (answer, error) {
			req, err := http.NewRequestWithContext(ctx, method, thingsURL, strings.NewReader("a body"))
			if err != nil {
				return answer{}, err
			}
			items, err := tools.JSON[[]string](c, req)
			return answer{Items: items}, err
		}))
}

// vendor answers with these statuses in turn, then with a list.
type vendor struct {
	statuses []int
	header   http.Header
	body     string
	got      chan *http.Request
	bodies   chan string
}

func newVendor(statuses ...int) *vendor {
	return &vendor{statuses: statuses, header: http.Header{}, body: "{}", got: make(chan *http.Request, 20), bodies: make(chan string, 20)}
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	n := len(v.got)
	v.got <- r
	v.bodies <- string(data)
	if n < len(v.statuses) {
		for k, h := range v.header {
			w.Header()[k] = h
		}
		w.WriteHeader(v.statuses[n])
		_, _ = io.WriteString(w, v.body)
		return
	}
	_, _ = io.WriteString(w, `["one","two"]`)
}

func TestCallSendsTheTokenToTheVendorOnly(t *testing.T) {
	t.Parallel()
	var seen http.Header
	var asked string
	v := newVendor()
	src := tooltest.NewSource(t, "google", v)
	tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(ctx context.Context, c *tools.Client, _ flat) (answer, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, thingsURL, nil)
			if err != nil {
				return answer{}, err
			}
			resp, err := c.Do(req)
			if err != nil {
				return answer{}, err
			}
			seen, asked = resp.Request.Header, resp.Request.URL.String()
			return answer{Items: []string{fmt.Sprintf("%v %+v", c, c.Transport)}}, resp.Body.Close()
		}))
	out := tooltest.Call[answer](t, tool, src, `{"query":"x"}`)
	tooltest.NoCanary(t, strings.Join(out.Items, " "))
	if r := <-v.got; r.Header.Get("Authorization") != "Bearer "+tooltest.Token || r.URL.Path != "/drive/v3/things" {
		t.Errorf("vendor got %s with %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	if len(seen["Authorization"]) != 0 || asked != thingsURL {
		t.Errorf("the handler sees %s with %v", asked, seen)
	}
}

func TestTokenStaysOffOtherHosts(t *testing.T) {
	t.Parallel()
	stranger := newVendor()
	other := httptest.NewServer(stranger)
	t.Cleanup(other.Close)
	tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(ctx context.Context, c *tools.Client, _ flat) (answer, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, other.URL, nil)
			if err != nil {
				return answer{}, err
			}
			_, err = tools.JSON[[]string](c, req)
			return answer{}, err
		}))
	e := tooltest.Fails[*tools.APIError](t, tool, tooltest.NewSource(t, "google", newVendor()), `{"query":"x"}`)
	if e.Temporary || !strings.Contains(e.Reason, "may not go") {
		t.Errorf("got %v", e)
	}
	if len(stranger.got) != 0 {
		t.Error("the other host was asked")
	}
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	soon, late := http.Header{"Retry-After": {"1"}}, http.Header{"Retry-After": {"3600"}}
	throttled := `{"error":{"code":403,"errors":[{"reason":"userRateLimitExceeded"}]}}`
	for name, c := range map[string]struct {
		method   string
		statuses []int
		header   http.Header
		body     string
		requests int
		ok       bool
	}{
		"a GET once after 503":          {http.MethodGet, []int{503}, nil, "", 2, true},
		"a GET twice":                   {http.MethodGet, []int{500, 429}, nil, "", 3, true},
		"a GET no more than twice":      {http.MethodGet, []int{503, 503, 503}, nil, "", 3, false},
		"a GET by the vendor's code":    {http.MethodGet, []int{403}, nil, throttled, 2, true},
		"a GET not after 404":           {http.MethodGet, []int{404}, nil, "", 1, false},
		"a GET not when asked to wait":  {http.MethodGet, []int{429}, late, "", 1, false},
		"a GET after the time it named": {http.MethodGet, []int{429}, soon, "", 2, true},
		"a POST not after 503":          {http.MethodPost, []int{503}, nil, "", 1, false},
		"a POST not by a code":          {http.MethodPost, []int{403}, nil, throttled, 1, false},
		"a POST after 429":              {http.MethodPost, []int{429}, soon, "", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(c.statuses...)
			v.header, v.body = c.header, c.body
			begin := time.Now()
			_, err := getTool(c.method).Call(t.Context(), tooltest.NewSource(t, "google", v), []byte(`{"query":"x"}`))
			if (err == nil) != c.ok || len(v.got) != c.requests {
				t.Errorf("%d requests, error %v", len(v.got), err)
			}
			if c.header.Get("Retry-After") == "1" && time.Since(begin) < time.Second {
				t.Error("repeated before the time that the vendor named")
			}
			if e, ok := errors.AsType[*tools.APIError](err); ok && c.header.Get("Retry-After") == "3600" && e.RetryAfter != time.Hour {
				t.Errorf("RetryAfter %v", e.RetryAfter)
			}
			for range len(v.bodies) {
				if body := <-v.bodies; body != "a body" {
					t.Errorf("body %q", body)
				}
			}
		})
	}
}

func TestARepeatEndsWithItsContext(t *testing.T) {
	t.Parallel()
	v := newVendor(429, 429, 429)
	v.header.Set("Retry-After", "4")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := getTool(http.MethodGet).Call(ctx, tooltest.NewSource(t, "google", v), []byte(`{"query":"x"}`))
	if !errors.Is(err, context.DeadlineExceeded) || len(v.got) != 1 {
		t.Errorf("%d requests, error %v", len(v.got), err)
	}
}

type consentNeeded struct{ link string }

func (e *consentNeeded) Error() string { return "consent needed" }

func TestErrorsOfTheSourcePassThrough(t *testing.T) {
	t.Parallel()
	want := &consentNeeded{link: "x"}

	src := tooltest.NewSource(t, "google", newVendor())
	src.Err = want
	if _, err := getTool(http.MethodGet).Call(t.Context(), src, []byte(`{"query":"x"}`)); err != want {
		t.Errorf("from Bearer: %v", err)
	}

	src = tooltest.NewSource(t, "google", newVendor(401))
	src.RenewErr = want
	if _, err := getTool(http.MethodGet).Call(t.Context(), src, []byte(`{"query":"x"}`)); err != want {
		t.Errorf("from Renew: %v", err)
	}
}

func TestA401IsRenewedOnce(t *testing.T) {
	t.Parallel()
	v := newVendor(401)
	src := tooltest.NewSource(t, "google", v)
	tooltest.Call[answer](t, getTool(http.MethodGet), src, `{"query":"x"}`)
	<-v.got
	if r := <-v.got; r.Header.Get("Authorization") != "Bearer "+tooltest.Fresh || src.Renewed() != 1 {
		t.Errorf("renewed %d times", src.Renewed())
	}

	v = newVendor(401, 401, 401)
	src = tooltest.NewSource(t, "google", v)
	e := tooltest.Fails[*tools.APIError](t, getTool(http.MethodGet), src, `{"query":"x"}`)
	if e.Status != 401 || src.Renewed() != 1 || len(v.got) != 2 {
		t.Errorf("%v after %d requests and %d renewals", e, len(v.got), src.Renewed())
	}
}

func TestAMissingScopeIsAScopeError(t *testing.T) {
	t.Parallel()
	v := newVendor(403)
	v.body = `{"error":{"code":403,"message":"canary","status":"PERMISSION_DENIED","details":[{"reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}`
	e := tooltest.Fails[*provider.ScopeError](t, getTool(http.MethodGet), tooltest.NewSource(t, "google", v), `{"query":"x"}`)
	if e.Provider != "google" {
		t.Errorf("got %+v", e)
	}
}
