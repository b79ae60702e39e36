package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

// FuzzOpen starts from the published vectors, which are the same in every
// fuzzing process. Nothing but a vector itself may open.
func FuzzOpen(f *testing.F) {
	v := readVectors(f)
	tree := checkKEKs(f, v.KEKs)
	deks := make([]*seal.DEK, len(v.DEKs))
	for i, d := range v.DEKs {
		deks[i] = checkDEK(f, tree, v.KEKs[d.KEK], d)
		f.Add([]byte(d.Wrapped))
	}
	for _, b := range v.Blobs {
		f.Add([]byte(b.Blob))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, b := range v.Blobs {
			_, err := deks[b.DEK].Open(b.place(), data)
			if genuine := bytes.Equal(data, b.Blob); genuine != (err == nil) || (err != nil && !errors.Is(err, seal.ErrOpen)) {
				t.Errorf("Open: %v, genuine: %v", err, genuine)
			}
		}
		for _, d := range v.DEKs {
			_, err := tree.OpenDEK(d.Tenant, d.Subject, seal.DEKID(d.ID), data)
			if genuine := bytes.Equal(data, d.Wrapped); genuine != (err == nil) {
				t.Errorf("OpenDEK: %v, genuine: %v", err, genuine)
			}
		}
	})
}
