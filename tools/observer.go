package tools

import (
	"io"
	"net/http"
	"net/http/httptrace"
)

// Observer is a [Source] that hears what the vendor answered to a call, for the audit.
type Observer interface {
	// Sending hears of each request that has begun to leave: from then on the vendor may have done what it asks.
	Sending()
	// Answered hears of each answer: the host that the handler asked, and the HTTP status.
	Answered(host string, status int)
	// Received hears of bytes of an answer as they are read.
	Received(n int)
}

// observed tells an observer of what passes.
type observed struct {
	next http.RoundTripper
	tell Observer
}

// observe answers next where src does not want to know.
func observe(src Source, next http.RoundTripper) http.RoundTripper {
	if o, ok := src.(Observer); ok {
		return &observed{next: next, tell: o}
	}
	return next
}

// RoundTrip implements http.RoundTripper.
func (o *observed) RoundTrip(req *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{WroteHeaders: o.tell.Sending}
	resp, err := o.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, err
	}
	resp.Request = req
	o.tell.Answered(req.URL.Host, resp.StatusCode)
	resp.Body = &countedBody{ReadCloser: resp.Body, tell: o.tell}
	return resp, nil
}

type countedBody struct {
	io.ReadCloser
	tell Observer
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.tell.Received(n)
	return n, err
}
