package storetest

import (
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunProcesses checks ProcessRows, and the clock of VaultRows that their beats are on.
func RunProcesses(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"put and list": processesPut,
		"delete":       processesDelete,
		"clock":        sharedClock,
	})
}

func processes(t *testing.T, s vault.Store) []vault.ProcessRow {
	t.Helper()
	return read(t, s, func(tx vault.Tx) ([]vault.ProcessRow, error) { return tx.Processes().List() })
}

func putProcess(t *testing.T, s vault.Store, p vault.ProcessRow) {
	t.Helper()
	update(t, s, func(tx vault.Tx) error { return tx.Processes().Put(p) })
}

func processesPut(t *testing.T, s vault.Store) {
	same(t, "processes of an empty store", nil, processes(t, s))
	first := vault.ProcessRow{ID: "p2", Version: "1.0", Keys: []byte(kekA + kekB), Stream: "main", Started: now, Beat: now}
	second := vault.ProcessRow{ID: "p1", Version: "1.1", Keys: []byte(kekA), Stream: "s1", Started: now + 1, Beat: now + 1}
	putProcess(t, s, second)
	putProcess(t, s, first)
	same(t, "processes", []vault.ProcessRow{first, second}, processes(t, s))
	again := vault.ProcessRow{ID: "p2", Version: "2.0", Keys: []byte(kekB), Stream: "s2", Started: now + 2, Beat: now + 9}
	putProcess(t, s, again)
	same(t, "after a beat", []vault.ProcessRow{second, again}, processes(t, s))
}

func processesDelete(t *testing.T, s vault.Store) {
	kept := vault.ProcessRow{ID: "p1", Keys: []byte(kekA), Started: now, Beat: now}
	putProcess(t, s, kept)
	putProcess(t, s, vault.ProcessRow{ID: "p2", Keys: []byte(kekA), Started: now, Beat: now})
	for range 2 {
		update(t, s, func(tx vault.Tx) error { return tx.Processes().Delete("p2") })
		same(t, "after a delete", []vault.ProcessRow{kept}, processes(t, s))
	}
}

// sharedClock wants a clock that does not go back, or 0 for good.
func sharedClock(t *testing.T, s vault.Store) {
	clock := func(tx vault.Tx) (int64, error) { return tx.Vault().Now() }
	first := read(t, s, clock)
	var written int64
	update(t, s, func(tx vault.Tx) (err error) { written, err = clock(tx); return err })
	last := read(t, s, clock)
	if first == 0 && (written != 0 || last != 0) {
		t.Errorf("a store without a clock says %d, %d", written, last)
	}
	if first != 0 && (first < now/2 || written < first || last < written) {
		t.Errorf("the clock says %d, then %d, then %d", first, written, last)
	}
}
