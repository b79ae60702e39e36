package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"
)

// What follows is the format a second time, written from doc.go with other
// tools: HKDF by its two HMACs, GCM with the nonce in hand.

func referenceHKDF(secret []byte, label string) []byte {
	sum := func(key []byte, parts ...[]byte) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write(slices.Concat(parts...))
		return mac.Sum(nil)
	}
	return sum(sum(make([]byte, 32), secret), []byte(label), []byte{1})
}

func referenceDEKAAD(kek kekVector, v dekVector) []byte {
	return slices.Concat([]byte("grantry/dek/v1"), lp(v.Tenant), lp(v.Subject), v.ID, kek.KeyID)
}

func referenceWrapped(t testing.TB, kek kekVector, v dekVector) []byte {
	t.Helper()
	header := slices.Concat([]byte{1, 1}, kek.KeyID)
	return referenceGCM(t, kek.WrapKey, header, v.Wrapped[10:22], v.Key, referenceDEKAAD(kek, v))
}

func referenceBlobAAD(d dekVector, b blobVector) []byte {
	return slices.Concat([]byte("grantry/blob/v1"), lp(b.Tenant), lp(b.Subject), lp(b.Table), lp(b.Column), lp(b.Row),
		binary.BigEndian.AppendUint64(nil, b.Generation), lp(b.Connection), lp(string(b.Destination)), []byte{1, 1}, d.ID)
}

func referenceBlob(t testing.TB, d dekVector, b blobVector) []byte {
	t.Helper()
	header := slices.Concat([]byte{1, 1}, d.ID)
	return referenceGCM(t, d.Key, header, b.Blob[18:30], b.Plaintext, referenceBlobAAD(d, b))
}

func referenceGCM(t testing.TB, key, header, nonce, plain, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(slices.Concat(header, nonce), nonce, plain, aad)
}

func lp(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

func lineBytes(t testing.TB, line string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
