package sqlstore_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/grantry/grantry/vault"
)

// TestDeletedMeansGone looks for a deleted value in every file, after a
// checkpoint and after closing.
func TestDeletedMeansGone(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	canary := []byte("canary-canary-canary-canary")
	rec := vault.Record{Kind: "ticket", Hash: []byte("h"), Value: canary, Version: 1, Expires: 10}
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Records().Put(rec, 1) }); err != nil {
		t.Fatal(err)
	}
	if !anyFileHas(t, path, canary) {
		t.Fatal("the value is in no file while it is stored: the test looks in the wrong place")
	}
	if err := s.Update(t.Context(), func(tx vault.Tx) error { _, err := tx.Records().Take("ticket", rec.Hash, 1); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if anyFileHas(t, path, canary) {
		t.Error("after a checkpoint the value is still in a file")
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("after a checkpoint the log has %v bytes, %v", info, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if anyFileHas(t, path, canary) {
		t.Error("after closing the value is still in a file")
	}
}

func anyFileHas(t *testing.T, path string, value []byte) bool {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(data, value) {
			return true
		}
	}
	return false
}
