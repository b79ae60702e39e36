package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

const (
	version   = 0x01
	algAESGCM = 0x01

	nonceSize = 12
	tagSize   = 16
)

// newAEAD is AES-256-GCM that draws its own nonces and puts them in front.
// key has 32 bytes, so it cannot fail.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("seal: aes refuses a 32-byte key: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("seal: gcm refuses aes: " + err.Error())
	}
	return aead
}

// appendLP appends the length of s in 4 bytes, big endian, and then s.
func appendLP[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // no field of a row has 4 GiB
	return append(b, s...)
}
