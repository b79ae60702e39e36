package devcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
)

// pair is a certificate with its key, as it lies in one file.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	over tls.Certificate
}

func newPair(der []byte, key *ecdsa.PrivateKey) (*pair, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("reading a certificate: the key is another's")
	}
	return &pair{cert: cert, key: key, over: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}}, nil
}

// decode reads what encode has written.
func decode(text []byte) (*pair, error) {
	cert, rest := pem.Decode(text)
	secret, _ := pem.Decode(rest)
	if cert == nil || secret == nil || cert.Type != certBlock || secret.Type != keyBlock {
		return nil, errors.New("reading a certificate: no certificate and key are in the file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(secret.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("reading a certificate: its key cannot be read") // the cause may quote it
	}
	return newPair(cert.Bytes, key)
}

func (p *pair) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: p.cert.Raw})
}

func (p *pair) encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return append(p.certificate(), pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})...), nil
}

func (p *pair) served() *tls.Certificate { return &p.over }

// names are what the certificate is for and what the authority may sign for.
func names() (dns []string, ips []net.IP) {
	return []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
}

// newAuthority is a self-signed authority for these names only (RFC 5280 §4.2.1.10).
func newAuthority(now time.Time) (*pair, error) {
	dns, ips := names()
	var only []*net.IPNet
	for _, ip := range ips {
		only = append(only, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	// The name is another for each authority: programs look for an issuer by its name first.
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Grantry development CA " + strings.ToLower(rand.Text()[:8])},
		NotBefore: now.Add(-early), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: dns, PermittedIPRanges: only,
	}
	return sign(template, nil)
}

// issue makes the certificate of the server. It does not outlive its authority.
func issue(ca *pair, now time.Time) (*pair, error) {
	dns, ips := names()
	end := now.Add(serverLife)
	if ca.cert.NotAfter.Before(end) {
		end = ca.cert.NotAfter
	}
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: dns[0]}, DNSNames: dns, IPAddresses: ips, NotBefore: now.Add(-early), NotAfter: end,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca)
}

// sign makes a key and a certificate for it, signed by ca, or by itself when there is none.
func sign(template *x509.Certificate, ca *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return newPair(der, key)
}

// isAuthority says what is wrong with an authority: it must be one as newAuthority makes it, and go on for a while.
func (p *pair) isAuthority(now time.Time) error {
	c := p.cert
	dns, ips := names()
	switch {
	case !c.IsCA || c.CheckSignatureFrom(c) != nil:
		return errors.New("ca-key.pem holds no authority")
	case !c.PermittedDNSDomainsCritical || len(c.PermittedDNSDomains) != len(dns) || c.PermittedDNSDomains[0] != dns[0] || len(c.PermittedIPRanges) != len(ips):
		return errors.New("the authority in ca-key.pem may sign for other names than this machine's own")
	case now.Before(c.NotBefore):
		return errors.New("the authority in ca-key.pem is not valid yet; is the clock right?")
	case now.Add(renewal).After(c.NotAfter):
		return fmt.Errorf("the authority in ca-key.pem ends on %s", c.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// good says whether this is a certificate of that authority for all the names, and not near its end.
func (p *pair) good(ca *pair, now time.Time) bool {
	if p == nil || now.Add(renewal).After(p.cert.NotAfter) {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	dns, ips := names()
	for _, ip := range ips {
		dns = append(dns, "["+ip.String()+"]")
	}
	for _, name := range dns {
		if _, err := p.cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			return false
		}
	}
	return true
}
