package storetest

import (
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunRecords checks RecordRows.
func RunRecords(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"put and get": recordsPut,
		"versions":    recordsVersions,
		"expiry":      recordsExpiry,
		"list":        recordsList,
		"take":        recordsTake,
		"sweep":       recordsSweep,
		"parallel takes": func(t *testing.T, s vault.Store) {
			parallelTakes(t, s, s, s, s)
		},
		"parallel puts": func(t *testing.T, s vault.Store) {
			parallelPuts(t, s, s, s, s)
		},
	})
}

func record(kind, name string) vault.Record {
	return vault.Record{Kind: kind, Hash: bytes16(name), Owner: "alice", Value: []byte("value of " + name), Version: 1, Expires: now + 1000}
}

func put(r vault.Record) func(tx vault.Tx) error {
	return func(tx vault.Tx) error { return tx.Records().Put(r, now) }
}

func getRecord(kind string, hash []byte, at int64) func(tx vault.Tx) (vault.Record, error) {
	return func(tx vault.Tx) (vault.Record, error) { return tx.Records().Get(kind, hash, at) }
}

func recordsPut(t *testing.T, s vault.Store) {
	r, other, ownerless := record("ticket", "a"), record("state", "a"), record("ticket", "b")
	other.Value, ownerless.Owner = []byte("other"), ""
	for _, rec := range []vault.Record{r, other, ownerless} {
		update(t, s, put(rec))
	}
	for _, rec := range []vault.Record{r, other, ownerless} {
		same(t, "record", rec, read(t, s, getRecord(rec.Kind, rec.Hash, now)))
	}
	readErr(t, s, vault.ErrNotFound, getRecord("ticket", bytes16("c"), now))
	readErr(t, s, vault.ErrNotFound, getRecord("session", r.Hash, now))
}

func recordsVersions(t *testing.T, s vault.Store) {
	r := record("ticket", "a")
	second := r
	second.Version, second.Value, second.Owner, second.Expires = 2, []byte("second"), "bob", now+2000
	updateErr(t, s, vault.ErrConflict, put(second))
	update(t, s, put(r))
	updateErr(t, s, vault.ErrConflict, put(r))
	update(t, s, put(second))
	same(t, "second version", second, read(t, s, getRecord(r.Kind, r.Hash, now)))
	fourth := second
	fourth.Version = 4
	for _, rec := range []vault.Record{r, second, fourth} {
		updateErr(t, s, vault.ErrConflict, put(rec))
	}
	same(t, "after conflicts", second, read(t, s, getRecord(r.Kind, r.Hash, now)))
}

// recordsExpiry wants a record to be gone from the millisecond that it names.
func recordsExpiry(t *testing.T, s vault.Store) {
	r := record("ticket", "a")
	update(t, s, put(r))
	same(t, "before", r, read(t, s, getRecord(r.Kind, r.Hash, r.Expires-1)))
	readErr(t, s, vault.ErrNotFound, getRecord(r.Kind, r.Hash, r.Expires))
	list := read(t, s, func(tx vault.Tx) ([]vault.Record, error) { return tx.Records().List(r.Kind, r.Owner, r.Expires) })
	same(t, "list", nil, list)
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { _, err := tx.Records().Take(r.Kind, r.Hash, r.Expires); return err })
	late := r
	late.Version = 2
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Records().Put(late, r.Expires) })

	fresh := r
	fresh.Value, fresh.Owner, fresh.Expires = []byte("fresh"), "bob", r.Expires+1000
	update(t, s, func(tx vault.Tx) error { return tx.Records().Put(fresh, r.Expires) })
	same(t, "in place of an expired one", fresh, read(t, s, getRecord(r.Kind, r.Hash, r.Expires)))
}

func recordsList(t *testing.T, s vault.Store) {
	first, second, bobs, state := record("ticket", "z"), record("ticket", "a"), record("ticket", "b"), record("state", "c")
	second.Expires, bobs.Owner = first.Expires+1, "bob"
	for _, rec := range []vault.Record{second, first, bobs, state} {
		update(t, s, put(rec))
	}
	list := func(owner string) []vault.Record {
		return read(t, s, func(tx vault.Tx) ([]vault.Record, error) { return tx.Records().List("ticket", owner, now) })
	}
	same(t, "alice's", []vault.Record{first, second}, list("alice"))
	same(t, "bob's", []vault.Record{bobs}, list("bob"))
	same(t, "nobody's", nil, list(""))
}

func recordsTake(t *testing.T, s vault.Store) {
	r, stays := record("ticket", "a"), record("state", "a")
	update(t, s, put(r))
	update(t, s, put(stays))
	var got vault.Record
	update(t, s, func(tx vault.Tx) (err error) { got, err = tx.Records().Take(r.Kind, r.Hash, now); return err })
	same(t, "taken", r, got)
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { _, err := tx.Records().Take(r.Kind, r.Hash, now); return err })
	readErr(t, s, vault.ErrNotFound, getRecord(r.Kind, r.Hash, now))
	same(t, "of another kind", stays, read(t, s, getRecord(stays.Kind, stays.Hash, now)))
}

func recordsSweep(t *testing.T, s vault.Store) {
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		r := record("ticket", name)
		r.Expires = now + int64(i) + 1
		update(t, s, put(r))
	}
	sweep := func(limit, want int) {
		t.Helper()
		update(t, s, func(tx vault.Tx) error {
			n, err := tx.Records().Sweep(now+3, limit)
			same(t, "swept", want, n)
			return err
		})
	}
	expired := func(kind string, at int64, limit int) (names []string) {
		for _, r := range read(t, s, func(tx vault.Tx) ([]vault.Record, error) { return tx.Records().Expired(kind, at, limit) }) {
			names = append(names, string(r.Value))
		}
		return names
	}
	same(t, "expired", []string{"value of a", "value of b", "value of c"}, expired("ticket", now+3, 10))
	same(t, "the first", []string{"value of a"}, expired("ticket", now+3, 1))
	same(t, "of another kind", nil, expired("state", now+3, 10))
	same(t, "none yet", nil, expired("ticket", now, 10))
	sweep(2, 2)
	readErr(t, s, vault.ErrNotFound, getRecord("ticket", bytes16("b"), now))
	read(t, s, getRecord("ticket", bytes16("c"), now)) // the oldest go first
	sweep(100, 1)
	sweep(100, 0)
	read(t, s, getRecord("ticket", bytes16("d"), now))
}

func parallelTakes(t *testing.T, handles ...vault.Store) {
	r := record("ticket", "a")
	for range 20 {
		update(t, handles[0], put(r))
		wins := race(t, handles, func(tx vault.Tx, _ int) error { _, err := tx.Records().Take(r.Kind, r.Hash, now); return err })
		if len(wins) != 1 {
			t.Fatalf("takers %v had it, want one", wins)
		}
	}
}

func parallelPuts(t *testing.T, handles ...vault.Store) {
	r := record("ticket", "a")
	for version := int64(1); version <= 20; version++ {
		r.Version = version
		if wins := race(t, handles, func(tx vault.Tx, _ int) error { return tx.Records().Put(r, now) }); len(wins) != 1 {
			t.Fatalf("version %d was stored by %v, want one", version, wins)
		}
	}
}
