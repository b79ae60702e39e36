package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/devcert"
)

const devFolder = "tls" // of the data folder

// scheme is how this process serves.
func (a *App) scheme() string {
	if a.cfg.TLS.Cert != "" || a.opts.DevTLS {
		return "https://"
	}
	return "http://"
}

// warnPlain says what is odd where browsers are sent to https on this machine, and this process speaks http.
func (a *App) warnPlain() {
	u, err := url.Parse(a.cfg.PublicURL)
	if err == nil && u.Scheme == "https" && loopbackHost(u.Hostname()) && a.scheme() == "http://" {
		a.log.Warn("public_url is https and this server speaks http: start it with --tls-dev, set tls, or have a proxy in front do https", "public_url", a.cfg.PublicURL)
	}
}

// checkDevTLS keeps the certificate of --tls-dev to this machine: elsewhere people would be taught to trust what a file on a server can forge.
func (a *App) checkDevTLS() error {
	if !a.opts.DevTLS {
		return nil
	}
	if a.cfg.TLS.Cert != "" {
		return &UsageError{Text: "--tls-dev makes a certificate, and the config names one under `tls`: leave one of them out"}
	}
	if host, _, err := net.SplitHostPort(a.cfg.Listen); err != nil || !devcert.Serves(host) {
		return &UsageError{Text: fmt.Sprintf("--tls-dev is for this machine only: its certificate is for localhost, 127.0.0.1 and ::1, and Grantry would listen on %s; elsewhere get a certificate and set `tls`", a.cfg.Listen)}
	}
	if a.cfg.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(a.cfg.PublicURL)
	if err != nil || u.Scheme != "https" || !devcert.Serves(u.Hostname()) {
		return &UsageError{Text: fmt.Sprintf("--tls-dev serves https at localhost, 127.0.0.1 and ::1, and public_url is %s: make it https://localhost with the port, or leave it out", a.cfg.PublicURL)}
	}
	return nil
}

// secure puts TLS around the listener: with the certificate of the config, or under --tls-dev with one of our own, whose authority stands in the file ca.
func (a *App) secure(ln net.Listener) (secured net.Listener, ca string, err error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch {
	case a.opts.DevTLS:
		dev, err := devcert.Open(filepath.Join(a.cfg.DataDir, devFolder), time.Now)
		if err != nil {
			return nil, "", &UsageError{Text: fmt.Sprintf("--tls-dev: %v", err)}
		}
		cfg.GetCertificate, ca = dev.Certificate, dev.CA()
	case a.cfg.TLS.Cert != "":
		cert, err := tls.LoadX509KeyPair(a.cfg.TLS.Cert, a.cfg.TLS.Key)
		if err != nil {
			return nil, "", &UsageError{Text: fmt.Sprintf("tls: %v", err)}
		}
		cfg.Certificates = []tls.Certificate{cert}
	default:
		return ln, "", nil
	}
	return tls.NewListener(ln, cfg), ca, nil
}
