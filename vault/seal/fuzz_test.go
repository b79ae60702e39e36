package seal_test

import (
	"bytes"
	"errors"
	"strings"
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
	for _, b := range v.NoBlobs {
		f.Add([]byte(b.Blob))
	}
	for _, d := range v.NoDEKs {
		f.Add([]byte(d.Wrapped))
	}
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

// FuzzParseKeys starts from the lines of the vectors. Keys that are read are read
// again from what Line writes, and no error shows a line.
func FuzzParseKeys(f *testing.F) {
	v := readVectors(f)
	for _, k := range v.KEKs {
		f.Add([]byte(k.Line + "\n"))
	}
	f.Add([]byte("# two\r\n\n " + v.KEKs[0].Line + "\t\n" + v.KEKs[1].Line))
	f.Add([]byte(v.KEKs[0].Line + "\n" + v.KEKs[0].Line + "\n"))
	for _, l := range v.Lines {
		f.Add([]byte(l.Line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := seal.ParseKeys(data)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
		if err != nil {
			for line := range strings.Lines(string(data)) {
				if line = strings.TrimSpace(line); len(line) > 30 && strings.Contains(err.Error(), line) {
					t.Errorf("the error shows a line: %v", err)
				}
			}
		}
		for _, k := range keys {
			if again, err := seal.ParseKey(k.Line()); err != nil || again.ID() != k.ID() {
				t.Errorf("Line does not read as the same key: %v", err)
			}
		}
	})
}
