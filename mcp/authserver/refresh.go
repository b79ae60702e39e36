package authserver

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

const (
	familyBytes = 16
	countBytes  = 4
	macBytes    = 32
)

// drawID draws a family's id: 128 bits, hex.
func drawID(from io.Reader) (string, error) {
	b := make([]byte, familyBytes)
	if _, err := io.ReadFull(from, b); err != nil {
		return "", fmt.Errorf("drawing random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// refreshToken is made of what the store has and a key that it has not, so
// that the same one can be given again and none lies anywhere:
//
//	base64url( family 16 | count 4, big endian | HMAC-SHA256 of both 32 )
func (s *Server) refreshToken(id string, gen uint32) (string, error) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != familyBytes {
		return "", fmt.Errorf("making refresh token: not a family's id")
	}
	raw = binary.BigEndian.AppendUint32(raw, gen)
	return base64.RawURLEncoding.EncodeToString(append(raw, s.refreshMAC(raw)...)), nil
}

func (s *Server) refreshMAC(msg []byte) []byte {
	return s.cfg.Vault.MAC("authserver/refresh/v1", msg)
}

// readRefresh answers the family and the count of a refresh token that we made.
func (s *Server) readRefresh(token string) (id string, gen uint32, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != familyBytes+countBytes+macBytes {
		return "", 0, false
	}
	msg, mac := raw[:familyBytes+countBytes], raw[familyBytes+countBytes:]
	if !hmac.Equal(mac, s.refreshMAC(msg)) {
		return "", 0, false
	}
	return hex.EncodeToString(msg[:familyBytes]), binary.BigEndian.Uint32(msg[familyBytes:]), true
}
