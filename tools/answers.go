package tools

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	maxRepeats    = 2
	firstWait     = 250 * time.Millisecond
	longestWait   = 5 * time.Second // a vendor that asks for more is not waited for
	maxErrorBytes = 64 << 10        // of an error's body that are looked at
)

// answers is the layer between tool code and the vendor's answers: it repeats
// what was refused for now, and turns answers of 400 and above into an
// *[APIError], so that no handler or vendor client can quote their bodies.
//
// A GET is repeated on 429, 5xx and the codes that mean the same. Anything else
// is repeated on 429 only, which says that it was not done.
type answers struct {
	next     http.RoundTripper
	provider string
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	wait := firstWait
	for repeats := 0; ; repeats++ {
		resp, err := a.send(req)
		if err != nil || resp.StatusCode < 400 {
			return resp, err
		}
		refused := a.refusal(resp)
		pause := max(refused.RetryAfter, wait/2+rand.N(wait/2))
		if repeats == maxRepeats || pause > longestWait || !repeatable(req, refused) {
			return nil, refused
		}
		if req, err = again(req); err != nil {
			return nil, refused
		}
		if err := sleep(req.Context(), pause); err != nil {
			return nil, err
		}
		wait *= 2
	}
}

// send sends req once. That there was no answer at all becomes an *APIError: what
// other errors say is theirs.
func (a *answers) send(req *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := a.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	switch {
	case err == nil:
		resp.Request = req
		return resp, nil
	case connected.Load() || req.Context().Err() != nil || known(err):
		return nil, err
	}
	return nil, &APIError{Provider: a.provider, Reason: "could not be reached", Temporary: true}
}

// refusal reads and closes a refused answer.
func (a *answers) refusal(resp *http.Response) *APIError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	_ = resp.Body.Close()
	var v any
	_ = json.Unmarshal(body, &v)
	return refusal(a.provider, resp.StatusCode, resp.Header, errorCodes(v, nil, 0))
}

func repeatable(req *http.Request, e *APIError) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return e.Temporary
	}
	return e.Status == http.StatusTooManyRequests
}

// again is req with its body from the beginning.
func again(req *http.Request) (*http.Request, error) {
	out := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return out, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("body cannot be sent again")
	}
	body, err := req.GetBody()
	out.Body = body
	return out, err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errorCodes collects the strings where vendors put their codes, most specific
// first: Google's error.details[].reason, error.errors[].reason and
// error.status, Salesforce's [].errorCode, Slack's error, Graph's error.code.
func errorCodes(v any, codes []string, depth int) []string {
	if depth > 6 || len(codes) > 50 {
		return codes
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			codes = errorCodes(e, codes, depth+1)
		}
	case map[string]any:
		for _, key := range []string{"details", "errors", "error"} {
			codes = errorCodes(v[key], codes, depth+1)
		}
		for _, key := range []string{"reason", "errorCode", "status", "error", "code"} {
			if s, ok := v[key].(string); ok {
				codes = append(codes, s)
			}
		}
	}
	return codes
}

// retryAfter reads the header, in seconds or as a date (RFC 9110 §10.2.3); 0 = none.
func retryAfter(h http.Header) time.Duration {
	s := h.Get("Retry-After")
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
