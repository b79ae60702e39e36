package mcp_test

import (
	"context"
	"sync"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// fakeRecords keep records in memory, as vault.Records promise to; servers that share them are replicas.
type fakeRecords struct {
	mu   sync.Mutex
	rows map[[2]string][]byte
}

var _ mcp.Records = (*fakeRecords)(nil)

// records are those of this vault.
func (f *fakeVault) records() *fakeRecords {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recs == nil {
		f.recs = &fakeRecords{rows: map[[2]string][]byte{}}
	}
	return f.recs
}

// size answers how many rows there are, and their bytes.
func (f *fakeRecords) size() (rows, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, value := range f.rows {
		bytes += len(value)
	}
	return len(f.rows), bytes
}

func (f *fakeRecords) Get(_ context.Context, kind, handle string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(kind, handle)
}

func (f *fakeRecords) get(kind, handle string) ([]byte, error) {
	value, ok := f.rows[[2]string{kind, handle}]
	if !ok {
		return nil, vault.ErrNotFound
	}
	return value, nil
}

func (f *fakeRecords) Put(_ context.Context, kind, handle string, _ vault.Caller, value []byte, _ time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows[[2]string{kind, handle}] = value
	return nil
}

func (f *fakeRecords) Take(_ context.Context, kind, handle string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, err := f.get(kind, handle)
	delete(f.rows, [2]string{kind, handle})
	return value, err
}

func (f *fakeRecords) Change(_ context.Context, kind, handle string, fn func([]byte) ([]byte, time.Duration, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, err := f.get(kind, handle)
	if err != nil {
		return err
	}
	value, _, err := fn(old)
	if err == nil {
		f.rows[[2]string{kind, handle}] = value
	}
	return err
}
