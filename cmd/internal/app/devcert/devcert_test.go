package devcert_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/devcert"
)

const day = 24 * time.Hour

func open(t *testing.T, dir string, now time.Time) *devcert.Source {
	t.Helper()
	s, err := devcert.Open(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func leaf(t *testing.T, s *devcert.Source) *x509.Certificate {
	t.Helper()
	c, err := s.Certificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pool is what a program has that was told to trust ca.pem.
func pool(t *testing.T, s *devcert.Source) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(t, s.CA())) {
		t.Fatal("ca.pem holds no certificate")
	}
	return roots
}

func TestServedNames(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := open(t, filepath.Join(t.TempDir(), "tls"), now)
	cert, roots := leaf(t, s), pool(t, s)
	for name, good := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "[::1]": true,
		"example.com": false, "127.0.0.2": false, "[::2]": false, "a.localhost": false, "10.0.0.1": false,
	} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); (err == nil) != good {
			t.Errorf("for %s: %v", name, err)
		}
		if host := strings.Trim(name, "[]"); devcert.Serves(host) != good {
			t.Errorf("Serves(%s) is %t", host, !good)
		}
	}
	if life := cert.NotAfter.Sub(now); life < 60*day || life > 398*day {
		t.Errorf("the certificate lives for %s", life)
	}
	if bytes.Contains(read(t, s.CA()), []byte("KEY")) {
		t.Error("ca.pem holds a key")
	}
}

// TestAuthoritySignsForNobodyElse has a thief of the authority's key sign what they like: no program that trusts ca.pem takes it.
func TestAuthoritySignsForNobodyElse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	s := open(t, dir, time.Now())
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca-key.pem"), filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"localhost":       func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }, // the control
		"another name":    func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} },
		"another address": func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} },
		"both":            func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "example.com"} },
		"a program": func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, &key.PublicKey, ca.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = forged.Verify(x509.VerifyOptions{Roots: pool(t, s), KeyUsages: template.ExtKeyUsage})
		if (err == nil) != (name == "localhost") {
			t.Errorf("a certificate for %s: %v", name, err)
		}
	}
	if !ca.Leaf.MaxPathLenZero || !ca.Leaf.PermittedDNSDomainsCritical {
		t.Error("the authority may make further ones, or its constraint is not critical")
	}
}

// TestRenewal: the authority stays, the certificate is made anew when it nears its end, also under a running server.
func TestRenewal(t *testing.T) {
	t.Parallel()
	dir, now := filepath.Join(t.TempDir(), "tls"), time.Now()
	first := open(t, dir, now)
	ca, serial := read(t, first.CA()), leaf(t, first).SerialNumber
	for _, step := range []struct {
		after time.Duration
		same  bool
	}{{0, true}, {50 * day, true}, {61 * day, false}} {
		again := open(t, dir, now.Add(step.after))
		if !bytes.Equal(ca, read(t, again.CA())) {
			t.Fatalf("after %s there is another authority", step.after)
		}
		if same := leaf(t, again).SerialNumber.Cmp(serial) == 0; same != step.same {
			t.Errorf("after %s the same certificate: %t", step.after, same)
		}
	}
	clock := now
	running, err := devcert.Open(filepath.Join(t.TempDir(), "tls"), func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	old := leaf(t, running)
	clock = now.Add(89 * day)
	if renewed := leaf(t, running); renewed.SerialNumber.Cmp(old.SerialNumber) == 0 || !renewed.NotAfter.After(clock.Add(60*day)) {
		t.Errorf("after 89 days a certificate is served that ends on %s", renewed.NotAfter)
	}
	if _, err := devcert.Open(dir, func() time.Time { return now.Add(3640 * day) }); err == nil || !strings.Contains(err.Error(), "ends on") || !strings.Contains(err.Error(), dir) {
		t.Errorf("shortly before the authority's end: %v", err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	s := open(t, dir, time.Now())
	for name, mode := range map[string]os.FileMode{"": 0o700, "ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v", name, info.Mode())
		}
	}
	ca, serial := read(t, s.CA()), leaf(t, s).SerialNumber
	// What people trust comes back when it is lost or changed; a certificate that cannot be read is made anew.
	write(t, s.CA(), "another", 0o644)
	write(t, filepath.Join(dir, "server.pem"), "torn", 0o600)
	again := open(t, dir, time.Now())
	if !bytes.Equal(ca, read(t, again.CA())) || leaf(t, again).SerialNumber.Cmp(serial) == 0 {
		t.Error("ca.pem or server.pem is not as it should be")
	}
	// A key that others could read is not used again.
	if err := os.Chmod(filepath.Join(dir, "server.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if third := leaf(t, open(t, dir, time.Now())); third.SerialNumber.Cmp(leaf(t, again).SerialNumber) == 0 {
		t.Error("a key that others can read is served")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAuthorityRefused(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "tls")
	s := open(t, good, time.Now())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(1000 * day)}
	der, err := x509.CreateCertificate(rand.Reader, wide, wide, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secret := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	for name, c := range map[string]struct {
		text, want string
		mode       os.FileMode
	}{
		"readable by others": {string(read(t, filepath.Join(good, "ca-key.pem"))), "others can read", 0o640},
		"torn":               {"-----BEGIN", "no certificate and key", 0o600},
		"another's key":      {string(read(t, s.CA())) + secret, "the key is another's", 0o600},
		"for all names":      {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + secret, "other names", 0o600},
		"no authority":       {string(read(t, filepath.Join(good, "server.pem"))), "no authority", 0o600},
	} {
		dir := filepath.Join(t.TempDir(), "tls")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "ca-key.pem"), c.text, c.mode)
		_, err := devcert.Open(dir, time.Now)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "remove the folder "+dir) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "ca.pem")); err == nil {
			t.Errorf("%s: it was published all the same", name)
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestManyAtOnce: all processes that begin at the same time serve what one ca.pem vouches for.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	var wg sync.WaitGroup
	all := make([]*devcert.Source, 16)
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = devcert.Open(dir, time.Now); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	roots := pool(t, all[0])
	for _, s := range all {
		if _, err := leaf(t, s).Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"}); err != nil {
			t.Error(err)
		}
	}
}
