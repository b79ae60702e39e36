package vault_test

import (
	"cmp"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

// FuzzVerifyAudit edits a chain row by row and byte by byte: unless what is left
// is the chain, or its beginning, the verifier finds it. Three bytes are one edit: what, where, by how much.
func FuzzVerifyAudit(f *testing.F) {
	for _, edits := range [][]byte{
		nil,
		{0, 0, 1},
		{1, 3, 7},
		{2, 9, 1},
		{3, 4, 200},
		{4, 2, 0},
		{5, 1, 6},
		{6, 0, 5},
		{7, 7, 1},
		{8, 8, 1},
		{4, 9, 0},
		{5, 3, 1, 5, 3, 1},
		{2, 1, 1, 2, 1, 255},
		{6, 2, 2, 4, 2, 0},
		{9, 0, 0},
		{8, 1, 0, 7, 0, 255},
	} {
		f.Add(edits)
	}
	v, store, whole := withEntries(f, 10)
	f.Fuzz(func(t *testing.T, edits []byte) {
		rows := slices.Clone(whole)
		for ; len(edits) >= 3 && len(rows) > 0; edits = edits[3:] {
			rows = edit(rows, edits[0]%10, int(edits[1])%len(rows), edits[2])
		}
		rows = stored(rows)
		store.rows = streams{"main": rows}
		_, err := v.CheckAudit(t.Context(), vault.AuditCheck{})
		if left := slices.EqualFunc(rows, whole[:min(len(rows), 10)], sameRow); left != (err == nil) {
			t.Errorf("still the chain: %t, and the verifier says %v", left, err)
		}
	})
}

// withEntries is a vault with n entries, over a store whose audit can be edited.
func withEntries(tb testing.TB, n int) (*vault.Vault, *edited, []vault.AuditRow) {
	tb.Helper()
	file, err := sqlstore.Open(tb.Context(), sqlstore.Config{Path: filepath.Join(tb.TempDir(), "vault.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	store := &edited{Store: file}
	v, err := vault.Open(tb.Context(), vault.Config{Store: store, Keys: []seal.Key{key}, Instance: "p1"})
	if err != nil {
		tb.Fatal(err)
	}
	var writers errgroup.Group
	writers.SetLimit(200) // they share their commits
	entry := vault.Entry{Kind: "token.released", Caller: alice.Caller, Agent: agent, Connection: "files", Account: "a_0123456789abcdef0123", Scopes: []string{"files.read"}, Tool: "files_list"}
	for range n {
		writers.Go(func() error { return v.Audit(tb.Context(), entry) })
	}
	var rows []vault.AuditRow
	err = errors.Join(writers.Wait(), file.View(tb.Context(), func(tx vault.Tx) (err error) {
		rows, err = tx.Audit().Read(vault.Stream, 1, n+1)
		return err
	}))
	if err != nil || len(rows) != n {
		tb.Fatal(len(rows), err)
	}
	return v, store, rows
}

// BenchmarkVerifyAudit verifies GRANTRY_BENCH_ENTRIES entries (50,000 unless set) in a SQLite file.
func BenchmarkVerifyAudit(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("GRANTRY_BENCH_ENTRIES"))
	if err != nil {
		n = 50_000
	}
	v, store, _ := withEntries(b, n)
	store.rows = nil
	for b.Loop() {
		if got, err := v.VerifyAudit(b.Context()); got != int64(n) || err != nil {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// stored is rows as a table has them: by number, each number once.
func stored(rows []vault.AuditRow) []vault.AuditRow {
	slices.SortStableFunc(rows, func(a, b vault.AuditRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return slices.CompactFunc(rows, func(a, b vault.AuditRow) bool { return a.Seq == b.Seq })
}

func sameRow(a, b vault.AuditRow) bool {
	return a.Stream == b.Stream && a.Seq == b.Seq && a.Time == b.Time && a.User == b.User && a.Kind == b.Kind &&
		slices.Equal(a.Body, b.Body) && slices.Equal(a.MAC, b.MAC)
}

func edit(rows []vault.AuditRow, what byte, at int, by byte) []vault.AuditRow {
	r := &rows[at]
	flip := func(b []byte) []byte {
		b = slices.Clone(b)
		if len(b) > 0 {
			b[int(by)%len(b)] ^= by
		}
		return b
	}
	switch what {
	case 0:
		r.Body = flip(r.Body)
	case 1:
		r.MAC = flip(r.MAC)
	case 2:
		r.Time += int64(int8(by))
	case 3:
		r.User, r.Kind = string(flip([]byte(r.User))), string(flip([]byte(r.Kind)))
	case 4:
		return slices.Delete(rows, at, at+1)
	case 5:
		other := int(by) % len(rows)
		rows[at], rows[other] = rows[other], rows[at]
	case 6:
		return slices.Insert(rows, at, rows[int(by)%len(rows)])
	case 7:
		r.Seq += int64(int8(by))
	case 8:
		return rows[:at]
	default:
		return renumbered(rows)
	}
	return rows
}
