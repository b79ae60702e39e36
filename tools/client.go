package tools

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	maxAnswer  = 8 << 20 // bytes of a vendor's answer
	unreadable = "gave an answer that could not be read"
	// callTimeout ends a request, repeats included, before MCP clients give up (60 s in the SDKs).
	callTimeout = 45 * time.Second
)

// Client is how a handler talks to its vendor's API: an HTTP client that adds
// the token on the vendor's own hosts and shows it to nobody, repeats what may be
// repeated, and turns answers of 400 and above into an [APIError]. Handlers use
// the vendor's public addresses; where a connection has others, the transport
// replaces them.
type Client struct {
	*http.Client
	Account  string // label of the account, for results that name it
	APIBase  string // base of API calls that came with the token (Salesforce), "" = the vendor's own
	Provider string // name in the catalog

	binding cursorBinding
}

func newClient(src Source, b provider.Bearer, vendor string, binding cursorBinding) *Client {
	if b.Connection != nil && vendor == "" {
		vendor = b.Connection.Provider().Name
	}
	renew := func(ctx context.Context, stale provider.Bearer) (provider.Bearer, error) {
		fresh, err := src.Renew(ctx, stale)
		if err != nil {
			return provider.Bearer{}, &sourceError{err}
		}
		return fresh, nil
	}
	hc := b.Client(nil, renew)
	hc.Transport = &answers{next: observe(src, hc.Transport), provider: vendor}
	hc.Timeout = callTimeout
	return &Client{Client: hc, Account: b.Account, APIBase: b.APIBase, Provider: vendor, binding: binding}
}

// JSON sends req and decodes the answer, of which at most 8 MiB are read. Errors are for
// the handler to return as they are: [Tool.Call] makes what they are of them.
func JSON[T any](c *Client, req *http.Request) (T, error) {
	var out T
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return out, err
	}
	if len(data) > maxAnswer {
		return out, &APIError{Provider: c.Provider, Status: resp.StatusCode, Reason: "answered more than 8 MiB; ask for less", Unsure: true}
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, c.Unreadable(resp.StatusCode)
	}
	return out, nil
}

// Refused is the [APIError] for an answer that says "no" with a status below 400, as
// Slack does. Of codes the first that we know is named, and nothing else of the answer.
func (c *Client) Refused(status int, codes ...string) error {
	return refusal(c.Provider, status, nil, codes)
}

// Unreadable is the [APIError] for an answer that is not what the vendor documents.
func (c *Client) Unreadable(status int) error {
	return &APIError{Provider: c.Provider, Status: status, Reason: unreadable, Temporary: true, Unsure: true}
}

// sourceError marks an error of [Source] on its way through an HTTP client.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "renewing token: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// failure is what Call answers for a handler's error. HTTP clients wrap errors
// in texts with the whole address, and decoders quote what they read, so
// only kinds of errors that we know go on.
func failure(ctx context.Context, vendor string, err error) error {
	if e, ok := errors.AsType[*sourceError](err); ok {
		return e.err
	}
	if e, ok := errors.AsType[*provider.ScopeError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*InputError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*APIError](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out := &APIError{Provider: vendor, Reason: unreadable, Temporary: true, Unsure: true}
	switch {
	case errors.Is(err, provider.ErrTooLarge):
		out.Reason, out.Temporary = "answered more than can be read; ask for less", false
	case errors.Is(err, context.DeadlineExceeded):
		out.Reason = "did not answer in time"
	case astray(err):
		out.Reason, out.Temporary, out.Unsure = "pointed to a place where the account's token may not go", false, false
	}
	return out
}

// known says whether err says more than that there was no answer.
func known(err error) bool {
	_, source := errors.AsType[*sourceError](err)
	_, scope := errors.AsType[*provider.ScopeError](err)
	return source || scope || astray(err)
}

// astray says that a request was not sent, or a redirect not followed, because of where it leads.
func astray(err error) bool {
	_, host := errors.AsType[*provider.HostError](err)
	return host || errors.Is(err, provider.ErrTooManyRedirects)
}
