package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

func newKey(t *testing.T) seal.Key {
	t.Helper()
	key, err := seal.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb}, 32)
	for _, line := range []string{
		base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw),
		"  " + base64.StdEncoding.EncodeToString(raw) + "\r\n",
	} {
		key, err := seal.ParseKey(line)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := key.Line(), base64.StdEncoding.EncodeToString(raw); got != want {
			t.Errorf("Line = %q, want %q", got, want)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"empty":     "",
		"short":     base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 31)),
		"long":      base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 33)),
		"url":       base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32)),
		"hex":       strings.Repeat("0a", 32),
		"two words": "c2VjcmV0 c2VjcmV0",
		"loose end": base64.RawStdEncoding.EncodeToString(make([]byte, 32))[:42] + "B",
	} {
		_, err := seal.ParseKey(line)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if line != "" && strings.Contains(err.Error(), line) {
			t.Errorf("%s: the error shows the line: %v", name, err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	file := "# first\n\n" + a.Line() + "\r\n  # second\n" + b.Line()
	keys, err := seal.ParseKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0].ID() != a.ID() || keys[1].ID() != b.ID() {
		t.Errorf("got %d keys in another order", len(keys))
	}
}

func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	a := newKey(t)
	if _, err := seal.ParseKeys([]byte("# nothing\n\n")); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("only comments: %v, want ErrNoKey", err)
	}
	_, err := seal.ParseKeys([]byte(a.Line() + "\n\n" + strings.TrimRight(a.Line(), "=")))
	if err == nil || !strings.Contains(err.Error(), "line 3") || strings.Contains(err.Error(), a.Line()) {
		t.Errorf("twice the same key: %v, want an error that names line 3 only", err)
	}
	_, err = seal.ParseKeys([]byte(a.Line() + "\nhunter2\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad line: %v, want an error that names line 2 only", err)
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	if a, b := newKey(t), newKey(t); a.ID() == b.ID() {
		t.Error("two new keys are the same")
	}
	if _, err := seal.GenerateKey(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a source of 31 bytes made a key")
	}
}
