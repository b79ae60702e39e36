package sts

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/grantry/grantry/vault/provider"
)

// errToken says that a vendor put the token that it was asked with into its answer.
var errToken = errors.New("the answer has the token in it")

// head puts the vendor's headers into the answer, after ours.
func (s *Server) head(w http.ResponseWriter, p *proxied, base *url.URL, resp *http.Response, token provider.Secret) {
	h := w.Header()
	answered(h, resp.Header, token.Reveal())
	if to := s.location(p, base, resp.Header.Get("Location")); to != "" {
		h.Set("Location", to)
	}
	p.status = resp.StatusCode
}

// location is where a vendor says that something is now: by way of the proxy, where
// the proxy could be asked for it, and nowhere else. So nobody follows it to the vendor with a proxy token.
func (s *Server) location(p *proxied, base *url.URL, raw string) string {
	to, err := url.Parse(raw)
	if raw == "" || err != nil || to.Scheme != base.Scheme || to.Host != base.Host {
		return ""
	}
	rest, ok := below(to, base)
	if !ok {
		return ""
	}
	if _, err := ReadTarget(ProxyPath + p.to.Connection + rest); err != nil {
		return ""
	}
	return s.cfg.PublicURL + ProxyPath + p.to.Connection + rest
}

// stream streams the body. What the vendor sends piece by piece arrives so. moved is told of each piece.
func stream(w http.ResponseWriter, p *proxied, resp *http.Response, token provider.Secret, moved func()) error {
	flush := func() error { return nil }
	if resp.ContentLength < 0 {
		flush = http.NewResponseController(w).Flush
	}
	find := finder{token: []byte(token.Reveal())}
	buf := make([]byte, 32<<10)
	begin := func() {
		if !p.begun {
			p.begun = true
			w.WriteHeader(resp.StatusCode)
		}
	}
	if resp.ContentLength < 0 {
		begin()
		if err := flush(); err != nil {
			return err
		}
	}
	for {
		n, err := resp.Body.Read(buf)
		moved()
		piece, found := find.next(buf[:n], err != nil)
		if found {
			return errToken
		}
		if len(piece) > 0 {
			begin()
			p.bytes += int64(len(piece))
			if _, err := w.Write(piece); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			begin()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// finder looks for the token in a stream. It holds back only what may be its beginning.
type finder struct {
	token []byte
	held  []byte
}

// next answers what may go on, and whether the token came up.
func (f *finder) next(piece []byte, last bool) (out []byte, found bool) {
	if len(f.held) > 0 {
		piece = append(f.held, piece...)
		f.held = nil
	}
	if bytes.Contains(piece, f.token) {
		return nil, true
	}
	if last {
		return piece, false
	}
	keep := f.begins(piece)
	f.held = bytes.Clone(piece[len(piece)-keep:])
	return piece[:len(piece)-keep], false
}

// begins is how many bytes at the end of piece the token begins with.
func (f *finder) begins(piece []byte) int {
	for n := min(len(f.token)-1, len(piece)); n > 0; n-- {
		if bytes.HasPrefix(f.token, piece[len(piece)-n:]) {
			return n
		}
	}
	return 0
}
