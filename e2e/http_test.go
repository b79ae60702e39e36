package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/storetest/port"
)

// TestTLSByCertificateFiles serves https on loopback.
func TestTLSByCertificateFiles(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, issuerConfig{Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", "https://127.0.0.1/signin/callback")}})
	addr := port.Get(t).Addr()
	h := newHome(t, "", "OIDC_SECRET=the-secret-of-the-pages")
	h.Config = filepath.Join(h.Dir, "grantry.yaml")
	roots := certificate(t, filepath.Join(h.Dir, "cert.pem"), filepath.Join(h.Dir, "key.pem"))
	writeFile(t, h.Config, fmt.Sprintf(`listen: %[1]s
public_url: https://%[1]s
tls: { cert: %[2]s/cert.pem, key: %[2]s/key.pem }
identity: { issuer: %[3]s, client_id: %[4]s, client_secret: env:OIDC_SECRET }
`, addr, h.Dir, i.URL, pagesClient))
	s := h.serve(t)
	if want := "https://" + addr + "/mcp"; s.MCP != want {
		t.Errorf("serve prints %s, want %s", s.MCP, want)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get(s.Base + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/healthz answered %d", resp.StatusCode)
	}
	old := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", addr, old); err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

// certificate writes a self-signed certificate for 127.0.0.1 with its key and
// answers the pool that trusts it.
func certificate(t *testing.T, cert, key string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "grantry e2e"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(t, cert, string(text))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// TestSlowHeadersAreCutOff opens a connection and sends its headers one
// letter at a time.
func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	c, err := net.Dial("tcp", s.Base[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: %s\r\nX-Slow: ", s.Base[len("http://"):])
	started := time.Now()
	go func() {
		for range 60 {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	c.SetReadDeadline(started.Add(25 * time.Second)) //nolint:errcheck // the read says so
	_, err = io.ReadAll(c)
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("the connection was held for %s (%v)", took, err)
	}
}
