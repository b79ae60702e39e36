package consent

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

const (
	// codeLetters are what codes are made of: no vowels, so that no code is a
	// word, and no letter that looks like a digit (RFC 8628 §6.1).
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
)

// Keys make digests under the vault's own keys (*vault.Vault).
type Keys interface {
	MAC(label string, msg []byte) []byte
}

// newCode draws a code, as it is shown: "BCDF-GHJK".
func newCode(from io.Reader) (string, error) {
	code := make([]byte, 0, codeLength+1)
	for one := make([]byte, 1); len(code) < cap(code); {
		if _, err := io.ReadFull(from, one); err != nil {
			return "", fmt.Errorf("drawing code: %w", err)
		}
		if int(one[0]) >= 256/len(codeLetters)*len(codeLetters) {
			continue // each letter as likely as every other
		}
		if len(code) == codeLength/2 {
			code = append(code, '-')
		}
		code = append(code, codeLetters[int(one[0])%len(codeLetters)])
	}
	return string(code), nil
}

// typedCode is a code as a person may type it: in small letters, with or without the dash.
func typedCode(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(shown(s, 40)))
	return s, len(s) == codeLength && strings.Trim(s, codeLetters) == ""
}

// codeHandle is where the record of a code is. A code is short enough to be
// found by trying all hashes, so it is hashed under a key that no thief of the store has.
func codeHandle(k Keys, kind, code string) string {
	plain, _ := typedCode(code)
	return base64.RawURLEncoding.EncodeToString(k.MAC("consent/code/v1", []byte(kind+"\x00"+plain)))
}

// randomFrom is 256 bits, base64url.
func randomFrom(r io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("drawing randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// placeOf is where a browser without a person comes from: its address, of IPv6 the /64 that one household has.
func placeOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	net64, _ := ip.Prefix(64) // an IPv6 address has 128 bits
	return net64.String()
}
