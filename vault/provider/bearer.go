package provider

import (
	"context"
	"net/http"
	"time"
)

// Bearer is a token on its way into a request, with what decides where it may go.
type Bearer struct {
	Token      Secret
	Connection *Connection
	APIBase    string // from the token answer, "" = the connection's
	Account    string // label for messages
	Grant      string // id of the grant
	Generation int64
	Scopes     []string
}

// Renew answers a newer bearer after the API answered 401 to stale. It is asked at most once a request.
type Renew func(ctx context.Context, stale Bearer) (Bearer, error)

// BaseURL is where API calls begin, without a slash at the end: endpoints.api
// of the configuration, else what the token answer named, else the vendor's.
// Vendor clients may keep their own default: the transport maps it.
func (b Bearer) BaseURL() string {
	if b.Connection == nil {
		return b.APIBase
	}
	return b.Connection.apiBase(b.APIBase)
}

// apiTimeout bounds one API call of a tool, redirects and body included.
const apiTimeout = 60 * time.Second

// Client is an http.Client that sends b's token, and only where it may go (see
// Transport). base nil means the connection's own transport; renew nil means
// that a 401 is returned as it came.
func (b Bearer) Client(base http.RoundTripper, renew Renew) *http.Client {
	t := b.Transport(base, renew)
	return &http.Client{Transport: t, CheckRedirect: t.CheckRedirect, Timeout: apiTimeout}
}

// Transport is that of Client, for whoever sends in a way of their own.
func (b Bearer) Transport(base http.RoundTripper, renew Renew) *Transport {
	if base == nil && b.Connection != nil && b.Connection.cfg.HTTP != nil {
		base = b.Connection.cfg.HTTP.Transport
	}
	return &Transport{Base: base, Bearer: b, Renew: renew}
}
