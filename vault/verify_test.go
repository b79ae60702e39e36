package vault_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
)

// streams are audit rows in memory, by stream and in the order in which a store would read them.
type streams map[string][]vault.AuditRow

func (s streams) clone() streams {
	out := streams{}
	for name, rows := range s {
		out[name] = slices.Clone(rows)
	}
	return out
}

// edited is a store whose audit reads as somebody with the database in hand left it.
type edited struct {
	vault.Store
	rows streams
}

func (s *edited) View(ctx context.Context, fn func(vault.Tx) error) error {
	if s.rows == nil { // nobody has edited it yet
		return s.Store.View(ctx, fn)
	}
	return s.Store.View(ctx, func(tx vault.Tx) error { return fn(editedTx{tx, s.rows}) })
}

type editedTx struct {
	vault.Tx
	rows streams
}

func (t editedTx) Audit() vault.AuditRows { return editedRows{t.Tx.Audit(), t.rows} }

type editedRows struct {
	vault.AuditRows
	rows streams
}

func (r editedRows) Head(stream string) (int64, []byte, error) {
	rows := r.rows[stream]
	if len(rows) == 0 {
		return 0, nil, nil
	}
	last := slices.MaxFunc(rows, func(a, b vault.AuditRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return last.Seq, last.MAC, nil
}

func (r editedRows) Read(stream string, seq int64, limit int) (out []vault.AuditRow, _ error) {
	rows := slices.SortedStableFunc(slices.Values(r.rows[stream]), func(a, b vault.AuditRow) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, row := range rows {
		if row.Seq >= seq && len(out) < limit {
			out = append(out, row)
		}
	}
	return out, nil
}

// Of is for one stream, from its end.
func (r editedRows) Of(user string, _ vault.AuditMark, limit int) (out []vault.AuditRow, _ error) {
	for _, row := range slices.Backward(r.rows["main"]) {
		if row.User == user && len(out) < limit {
			out = append(out, row)
		}
	}
	return out, nil
}

func (r editedRows) Streams() ([]string, error) {
	return slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
		for name, rows := range r.rows {
			if len(rows) > 0 && !yield(name, true) {
				return
			}
		}
	}))), nil
}

// allRows are the chains as they are.
func (b *bench) allRows() streams {
	b.t.Helper()
	out := streams{}
	err := b.store.View(b.t.Context(), func(tx vault.Tx) error {
		names, err := tx.Audit().Streams()
		if err != nil {
			return err
		}
		for _, name := range names {
			if out[name], err = tx.Audit().Read(name, 1, 100_000); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// onServer is a store that says, as a server does, what time it is.
type onServer struct {
	vault.Store
	clock *clock
}

func (s onServer) View(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.View(ctx, func(tx vault.Tx) error { return fn(serverTx{tx, s.clock}) })
}

func (s onServer) Update(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Update(ctx, func(tx vault.Tx) error { return fn(serverTx{tx, s.clock}) })
}

func (s onServer) Append(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Append(ctx, func(tx vault.Tx) error { return fn(serverTx{tx, s.clock}) })
}

type serverTx struct {
	vault.Tx
	clock *clock
}

func (t serverTx) Vault() vault.VaultRows { return serverRows{t.Tx.Vault(), t.clock} }

type serverRows struct {
	vault.VaultRows
	clock *clock
}

func (r serverRows) Now() (int64, error) { return vault.Millis(r.clock.Now()), nil }

// twoChains is a vault with two processes that ran one after the other's
// start, so that each chain has seen the other, and entries after that.
func twoChains(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	server := func(c *vault.Config) { c.Store = onServer{c.Store, b.clock} }
	p1 := b.open("p1", server)
	running(t, p1)
	b.entries(p1, 3)
	b.living("p1", vault.Stream)
	p2 := b.open("p2", server)
	running(t, p2)
	b.entries(p2, 4)
	b.living("p2", "main-2")
	running(t, b.open("p3", server))
	b.entries(p1, 2)
	return b
}

func (b *bench) living(id, stream string) {
	b.t.Helper()
	now := vault.Millis(b.clock.Now())
	err := b.store.Update(b.t.Context(), func(tx vault.Tx) error {
		return tx.Processes().Put(vault.ProcessRow{ID: id, Keys: []byte{}, Stream: stream, Started: now, Beat: now})
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// entries writes n entries.
func (b *bench) entries(v *vault.Vault, n int) {
	b.t.Helper()
	for i := range n {
		e := vault.Entry{Kind: "request_state.refused", Caller: alice.Caller, Agent: agent, Tool: fmt.Sprint("tool-", i), Result: "refused"}
		if err := v.Audit(b.t.Context(), e); err != nil {
			b.t.Fatal(err)
		}
	}
}

// verifier answers what a verifier says of rows.
func (b *bench) verifier() func(rows streams, marks ...vault.Mark) error {
	b.t.Helper()
	store := &edited{}
	v := b.open("verifier", func(c *vault.Config) { store.Store, c.Store = c.Store, store })
	return func(rows streams, marks ...vault.Mark) error {
		store.rows = rows
		_, err := v.CheckAudit(b.t.Context(), vault.AuditCheck{Marks: marks})
		return err
	}
}

// breaksAt is where a verdict says that the chain breaks.
func breaksAt(err error) vault.ChainError {
	var e *vault.ChainError
	if errors.As(err, &e) {
		return *e
	}
	return vault.ChainError{}
}

// Whatever is changed, removed, inserted or moved in a row shows at that row.
func TestEveryRowIsHeld(t *testing.T) {
	t.Parallel()
	b := twoChains(t)
	whole, verdict := b.allRows(), b.verifier()
	if err := verdict(whole); err != nil || len(whole) != 3 {
		t.Fatalf("%d streams, %v", len(whole), err)
	}
	for name, rows := range whole {
		for i := range rows {
			for what, change := range edits {
				cut := whole.clone()
				if cut[name] = change(cut[name], i); cut[name] == nil {
					continue
				}
				want := vault.ChainError{Stream: name, Seq: int64(i + 1)}
				if got := breaksAt(verdict(cut)); got != want {
					t.Errorf("%s of entry %d in %s: %+v", what, i+1, name, got)
				}
			}
		}
	}
}

// edits are what somebody may do to the row at i; nil where it cannot be done there.
var edits = map[string]func(rows []vault.AuditRow, i int) []vault.AuditRow{
	"body": func(rows []vault.AuditRow, i int) []vault.AuditRow {
		rows[i].Body = []byte(strings.Replace(string(rows[i].Body), `"result":"`, `"result":"n`, 1))
		return rows
	},
	"time":   func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].Time++; return rows },
	"user":   func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].User += "0"; return rows },
	"kind":   func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].Kind += "x"; return rows },
	"mac":    func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].MAC = make([]byte, 32); return rows },
	"no mac": func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].MAC = nil; return rows },
	"number": func(rows []vault.AuditRow, i int) []vault.AuditRow { rows[i].Seq += 1000; return rows },
	"a twin": func(rows []vault.AuditRow, i int) []vault.AuditRow {
		return renumbered(slices.Insert(rows, i, forged()))
	},
	"removal": removed,
	"removal, with the rest moved up": func(rows []vault.AuditRow, i int) []vault.AuditRow {
		return renumbered(removed(rows, i))
	},
	"swap": func(rows []vault.AuditRow, i int) []vault.AuditRow {
		if i+1 == len(rows) {
			return nil
		}
		rows[i], rows[i+1] = rows[i+1], rows[i]
		return renumbered(rows)
	},
}

// removed leaves the last row alone: that its end is gone shows only against another chain or an anchor.
func removed(rows []vault.AuditRow, i int) []vault.AuditRow {
	if i+1 == len(rows) {
		return nil
	}
	return slices.Delete(rows, i, i+1)
}

func forged() vault.AuditRow {
	return vault.AuditRow{Kind: "token.released", Body: []byte(`{"result":"ok"}`), MAC: make([]byte, 32)}
}

func renumbered(rows []vault.AuditRow) []vault.AuditRow {
	for i := range rows {
		rows[i].Seq = int64(i + 1)
	}
	return rows
}

// What was put before the first entry, behind the last one, or into a stream of its own shows too; and so does an entry of another stream.
func TestInsertedRows(t *testing.T) {
	t.Parallel()
	b := twoChains(t)
	whole, verdict := b.allRows(), b.verifier()
	end := int64(len(whole["main"]))
	for name, tc := range map[string]struct {
		change func(streams)
		want   vault.ChainError
	}{
		"before the first": {func(s streams) { s["main"] = append([]vault.AuditRow{forged()}, s["main"]...) }, vault.ChainError{Stream: "main", Seq: 1}},
		"behind the last": {func(s streams) {
			s["main"] = renumbered(append(s["main"], forged()))
		}, vault.ChainError{Stream: "main", Seq: end + 1}},
		"a stream": {func(s streams) { s["main-9"] = renumbered([]vault.AuditRow{forged()}) }, vault.ChainError{Stream: "main-9", Seq: 1}},
		"of another stream": {func(s streams) {
			s["main"][2] = s["main-2"][2]
		}, vault.ChainError{Stream: "main", Seq: 3}},
		"a stream for another": {func(s streams) { s["main"] = s["main-2"] }, vault.ChainError{Stream: "main", Seq: 1}},
		"a renamed stream": {func(s streams) {
			s["main"] = slices.Clone(s["main-2"])
			for i := range s["main"] {
				s["main"][i].Stream = "main"
			}
		}, vault.ChainError{Stream: "main", Seq: 1}},
	} {
		s := whole.clone()
		tc.change(s)
		if got := breaksAt(verdict(s)); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// A stream that was cut, or is gone, shows where another stream has seen more of it.
func TestCutStream(t *testing.T) {
	t.Parallel()
	b := twoChains(t)
	whole, verdict := b.allRows(), b.verifier()
	cut := whole.clone()
	cut["main-2"] = cut["main-2"][:2] // main-3 began after its fifth
	if got := breaksAt(verdict(cut)); got != (vault.ChainError{Stream: "main-2", Seq: 3, Cut: true}) {
		t.Errorf("cut: %+v", got)
	}
	delete(cut, "main-2")
	if got := breaksAt(verdict(cut)); got != (vault.ChainError{Stream: "main-2", Seq: 1, Cut: true}) {
		t.Errorf("gone: %+v", got)
	}
}

// Truncation of everything is what a chain cannot show by itself: it verifies.
// Against marks from outside it does not, wherever the cut is.
func TestTruncationShowsOnlyAgainstAnAnchor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.entries(b.Vault, 10)
	anchor := &shelf{}
	b.anchored(anchor)
	whole, verdict := b.allRows(), b.verifier()
	marks := anchor.all()
	if err := verdict(whole, marks...); err != nil || len(marks) == 0 {
		t.Fatalf("whole: %v with %d marks", err, len(marks))
	}
	for n := range whole["main"] {
		cut := streams{"main": whole["main"][:n]}
		if err := verdict(cut); err != nil {
			t.Errorf("cut to %d, without an anchor: %v", n, err)
		}
		err := verdict(cut, marks...)
		var e *vault.MarkError
		if !errors.As(err, &e) || e.Head != int64(n) || e.Mark.Seq <= e.Head {
			t.Errorf("cut to %d, with an anchor: %v", n, err)
		}
	}
}
