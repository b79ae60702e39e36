package storetest

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunAudit checks AuditRows.
func RunAudit(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"append and read": auditAppend,
		"gaps":            auditGaps,
		"streams":         auditStreams,
		"of a user":       auditOf,
		"pruning":         auditPrune,
		"with its change": auditWithChange,
		"parallel appends": func(t *testing.T, s vault.Store) {
			parallelAppends(t, s, s, s, s)
		},
	})
}

func auditRow(stream string, seq int64) vault.AuditRow {
	return vault.AuditRow{Stream: stream, Seq: seq, Time: now + seq, User: "alice", Kind: "token.released", Body: []byte(`{"n":1}`), MAC: bytes16("mac")}
}

func appendRows(rows ...vault.AuditRow) func(tx vault.Tx) error {
	return func(tx vault.Tx) error { return tx.Audit().Append(rows) }
}

func auditRead(t *testing.T, s vault.Store, stream string, seq int64, limit int) []vault.AuditRow {
	t.Helper()
	return read(t, s, func(tx vault.Tx) ([]vault.AuditRow, error) { return tx.Audit().Read(stream, seq, limit) })
}

func auditHead(t *testing.T, s vault.Store, stream string) (seq int64, mac []byte) {
	t.Helper()
	read(t, s, func(tx vault.Tx) (_ struct{}, err error) {
		seq, mac, err = tx.Audit().Head(stream)
		return struct{}{}, err
	})
	return seq, mac
}

func auditAppend(t *testing.T, s vault.Store) {
	seq, mac := auditHead(t, s, "main")
	if seq != 0 || mac != nil {
		t.Errorf("head of an empty stream: %d, %x", seq, mac)
	}
	var rows []vault.AuditRow
	for n := int64(1); n <= 5; n++ {
		rows = append(rows, auditRow("main", n))
	}
	rows[2].User, rows[4].MAC = "", bytes16("last")
	update(t, s, appendRows(rows[:2]...))
	update(t, s, appendRows())
	update(t, s, appendRows(rows[2:]...))
	same(t, "all", rows, auditRead(t, s, "main", 1, 100))
	same(t, "some", rows[1:3], auditRead(t, s, "main", 2, 2))
	same(t, "after the end", nil, auditRead(t, s, "main", 6, 2))
	if seq, mac := auditHead(t, s, "main"); seq != 5 || string(mac) != string(rows[4].MAC) {
		t.Errorf("head: %d, %q", seq, mac)
	}
}

func auditGaps(t *testing.T, s vault.Store) {
	update(t, s, appendRows(auditRow("main", 1), auditRow("main", 2)))
	for name, rows := range map[string][]vault.AuditRow{
		"again":            {auditRow("main", 2)},
		"a gap":            {auditRow("main", 4)},
		"zero":             {auditRow("main", 0)},
		"a gap within":     {auditRow("main", 3), auditRow("main", 5)},
		"twice within":     {auditRow("main", 3), auditRow("main", 3)},
		"a stream's start": {auditRow("other", 2)},
	} {
		if err := s.Update(t.Context(), appendRows(rows...)); !errors.Is(err, vault.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	same(t, "entries", 2, len(auditRead(t, s, "main", 1, 100)))
}

func auditStreams(t *testing.T, s vault.Store) {
	update(t, s, appendRows(auditRow("a", 1), auditRow("b", 1), auditRow("a", 2)))
	update(t, s, appendRows(auditRow("b", 2), auditRow("a", 3)))
	for stream, want := range map[string]int64{"a": 3, "b": 2, "c": 0} {
		seq, _ := auditHead(t, s, stream)
		same(t, "head of "+stream, want, seq)
		same(t, "entries of "+stream, int(want), len(auditRead(t, s, stream, 1, 100)))
	}
}

// auditOf reads a user's entries of all streams backwards, page by page, without the releases.
func auditOf(t *testing.T, s vault.Store) {
	var want []vault.AuditRow
	for n := int64(1); n <= 6; n++ {
		for i, stream := range []string{"a", "b"} {
			row := auditRow(stream, n)
			row.Time = now + (n+1)/2 // two of each stream at one time
			switch n % 4 {
			case int64(i):
				row.User, row.Kind = "bob", "tool.called"
			case 3: // a release stays a release
			default:
				row.Kind = "tool.called"
				want = append(want, row)
			}
			update(t, s, appendRows(row))
		}
	}
	slices.SortFunc(want, func(a, b vault.AuditRow) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Stream, a.Stream), cmp.Compare(b.Seq, a.Seq))
	})
	of := func(user string, before vault.AuditMark, limit int) []vault.AuditRow {
		return read(t, s, func(tx vault.Tx) ([]vault.AuditRow, error) { return tx.Audit().Of(user, before, limit) })
	}
	same(t, "alice's", want, of("alice", vault.AuditMark{}, 100))
	same(t, "nobody's", nil, of("carol", vault.AuditMark{}, 100))
	for _, limit := range []int{1, 3} {
		var got []vault.AuditRow
		for page := of("alice", vault.AuditMark{}, limit); len(page) > 0; {
			got = append(got, page...)
			last := page[len(page)-1]
			page = of("alice", vault.AuditMark{Time: last.Time, Stream: last.Stream, Seq: last.Seq}, limit)
		}
		same(t, "page by page", want, got)
	}
	update(t, s, func(tx vault.Tx) error { return tx.Audit().Prune("a", 5) })
	for _, r := range of("alice", vault.AuditMark{}, 100) {
		if r.Stream == "a" && r.Seq <= 5 {
			t.Errorf("entry %d was pruned", r.Seq)
		}
	}
}

// auditPrune wants the beginning of one stream to go, never all of it, and the chain to go on after its head.
func auditPrune(t *testing.T, s vault.Store) {
	for n := int64(1); n <= 5; n++ {
		update(t, s, appendRows(auditRow("a", n)))
		update(t, s, appendRows(auditRow("b", n)))
	}
	prune := func(stream string, last int64) func(vault.Tx) error {
		return func(tx vault.Tx) error { return tx.Audit().Prune(stream, last) }
	}
	update(t, s, prune("a", 2))
	update(t, s, prune("a", 2))
	for _, last := range []int64{5, 6} {
		updateErr(t, s, vault.ErrConflict, prune("a", last))
	}
	updateErr(t, s, vault.ErrConflict, prune("none", 1))
	same(t, "left", []vault.AuditRow{auditRow("a", 3), auditRow("a", 4), auditRow("a", 5)}, auditRead(t, s, "a", 1, 100))
	same(t, "the other stream", 5, len(auditRead(t, s, "b", 1, 100)))
	update(t, s, prune("a", 4))
	updateErr(t, s, vault.ErrConflict, appendRows(auditRow("a", 1)))
	update(t, s, appendRows(auditRow("a", 6)))
	seq, _ := auditHead(t, s, "a")
	same(t, "head", int64(6), seq)
}

// auditWithChange wants an entry and its change to exist together or not at all.
func auditWithChange(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error {
		if err := tx.Grants().Swap(nextGen(g), g.Gen); err != nil {
			return err
		}
		return tx.Audit().Append([]vault.AuditRow{auditRow("main", 2)})
	})
	same(t, "grant", g, getGrant(t, s, g.ID))
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error {
		if err := tx.Audit().Append([]vault.AuditRow{auditRow("main", 1)}); err != nil {
			return err
		}
		return tx.Grants().Swap(nextGen(g), g.Gen+1)
	})
	seq, _ := auditHead(t, s, "main")
	same(t, "head", 0, seq)
}

// parallelAppends has all handles append to one stream, synced or not, each after the
// head that it reads in its transaction. The stream has no gap and nothing is lost.
func parallelAppends(t *testing.T, handles ...vault.Store) {
	const each = 15
	var wg sync.WaitGroup
	for _, s := range handles {
		wg.Go(func() {
			for i := range each {
				write := s.Update
				if i%3 > 0 {
					write = s.Append
				}
				err := write(t.Context(), func(tx vault.Tx) error {
					head, _, err := tx.Audit().Head("main")
					if err != nil {
						return err
					}
					return tx.Audit().Append([]vault.AuditRow{auditRow("main", head+1), auditRow("main", head+2)})
				})
				if err != nil {
					t.Errorf("appending: %v", err)
				}
			}
		})
	}
	wg.Wait()
	rows := auditRead(t, handles[0], "main", 1, 10_000)
	same(t, "entries", 2*each*len(handles), len(rows))
	for i, r := range rows {
		if r.Seq != int64(i+1) {
			t.Fatalf("entry %d has number %d", i+1, r.Seq)
		}
	}
}
