package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary looks for secrets where none may be. The secrets are the real ones,
// as the counterparty says that it issued them.
type canary struct {
	secrets []string
	forms   map[string][][]byte
}

// newCanary takes the secrets to look for; short ones would be found anywhere.
func newCanary(t *testing.T, secrets ...string) *canary {
	t.Helper()
	c := &canary{forms: map[string][][]byte{}}
	for _, secret := range secrets {
		if len(secret) < 12 {
			t.Fatalf("%q is too short to look for", secret)
		}
		if _, known := c.forms[secret]; known {
			continue
		}
		c.secrets = append(c.secrets, secret)
		c.forms[secret] = encodings(secret)
	}
	if len(c.secrets) == 0 {
		t.Fatal("a canary scan without a secret cannot fail")
	}
	return c
}

// encodings answers the shapes in which a secret may lie about: as it is,
// escaped, in hex, and inside base64 at any of the three offsets.
func encodings(secret string) [][]byte {
	out := [][]byte{[]byte(secret), []byte(hex.EncodeToString([]byte(secret)))}
	if escaped := url.QueryEscape(secret); escaped != secret {
		out = append(out, []byte(escaped))
	}
	for offset := range 3 {
		raw := append(make([]byte, offset), secret...)
		for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := coding.EncodeToString(raw)
			// The first and the last group also depend on the neighbours.
			out = append(out, []byte(text[4:len(text)-4]))
		}
	}
	return out
}

// find answers the numbers (from 0) of the secrets that stand in data.
func (c *canary) find(data []byte) []int {
	var out []int
	for i, secret := range c.secrets {
		for _, form := range c.forms[secret] {
			if bytes.Contains(data, form) {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

// clean fails the test if a secret stands in data. It does not print it.
func (c *canary) clean(t *testing.T, where string, data []byte) {
	t.Helper()
	for _, i := range c.find(data) {
		t.Errorf("secret %d of %d, which begins with %q, stands in %s", i+1, len(c.secrets), c.secrets[i][:4], where)
	}
}

// cleanDir scans every byte of every file below dir. A program that has just been left may still take files of its own away.
func (c *canary) cleanDir(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		c.clean(t, path, data)
		return nil
	})
	if err != nil {
		t.Fatalf("scanning %s: %v", dir, err)
	}
	if files == 0 {
		t.Errorf("scanning %s: there is no file in it", dir)
	}
}

// cleanPages scans the pages of base (Grantry's, not the vendor's own) that a
// browser has seen, with their headers.
func (c *canary) cleanPages(t *testing.T, b *browser, base string) {
	t.Helper()
	pages := 0
	for _, p := range b.seen {
		if !strings.HasPrefix(p.URL.String(), base) {
			continue
		}
		pages++
		var head bytes.Buffer
		p.Header.Write(&head) //nolint:errcheck // a buffer takes everything
		c.clean(t, "the page "+p.URL.Path, append(head.Bytes(), p.Body...))
	}
	if pages == 0 {
		t.Errorf("the browser has seen no page of %s", base)
	}
}
