package devcert

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	caFile     = "ca.pem"
	caKeyFile  = "ca-key.pem"
	serverFile = "server.pem"

	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 90 * 24 * time.Hour
	renewal    = 30 * 24 * time.Hour // how long before its end a certificate is made anew
	early      = time.Hour           // how far the clock of a client may be behind
)

// Serves says whether a host is one of the names of the certificate.
func Serves(host string) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host)
}

// Source is the certificate of one data folder. It is safe for concurrent use.
type Source struct {
	dir string
	now func() time.Time
	ca  *pair

	mu     sync.Mutex
	server *pair
}

// Open makes what is missing below dir, an absolute path that is ours alone, and
// answers the certificate. Its errors say what to do about the files.
func Open(dir string, now func() time.Time) (*Source, error) {
	s := &Source{dir: dir, now: now}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("making the folder of the certificates: %w", err)
	}
	var err error
	if s.ca, err = s.authority(); err != nil {
		return nil, err
	}
	_, err = s.current()
	return s, err
}

// CA is the path of the certificate that people trust, in PEM.
func (s *Source) CA() string { return s.path(caFile) }

// Certificate is tls.Config.GetCertificate: a server that runs for months goes on with a new one.
func (s *Source) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p, err := s.current()
	if err != nil {
		return nil, err
	}
	return p.served(), nil
}

func (s *Source) path(name string) string { return filepath.Join(s.dir, name) }

// authority reads the authority, or makes it. Of several processes one makes it.
func (s *Source) authority() (*pair, error) {
	path := s.path(caKeyFile)
	p, err := readPair(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = makeAuthority(path, s.now()); err == nil {
			p, err = readPair(path)
		}
	}
	if err == nil {
		err = p.isAuthority(s.now())
	}
	if err != nil {
		return nil, fmt.Errorf("%w; remove the folder %s for a new authority, and have your programs trust its ca.pem", err, s.dir)
	}
	return p, publish(s.path(caFile), p.certificate())
}

// current answers a certificate that is not near its end.
func (s *Source) current() (*pair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server.good(s.ca, s.now()) {
		return s.server, nil
	}
	if p, err := readPair(s.path(serverFile)); err == nil && p.good(s.ca, s.now()) {
		s.server = p // of an earlier start, or of another process
		return p, nil
	}
	p, err := issue(s.ca, s.now())
	if err != nil {
		return nil, err
	}
	text, err := p.encode()
	if err != nil {
		return nil, err
	}
	if err := replace(s.path(serverFile), text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the certificate: %w", err)
	}
	s.server = p
	return p, nil
}
