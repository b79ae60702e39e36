package vault_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// An entry names who was meant while the vault knows them. Once the user is
// deleted it names the pseudonym, nothing of them is left in the chain, and the chain holds.
func TestDeletedUserInTheAudit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	b.entries(b.Vault, 1)
	about := func(user string) (out []vault.AuditEntry) {
		for e, err := range b.AuditLog(t.Context(), vault.AuditQuery{User: user}) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
		return out
	}
	key := b.Pseudonym(alice.Caller)
	before := about("ALICE@example.com")
	if len(before) < 6 || before[0].Person != "alice@example.com" || before[0].User != key {
		t.Fatalf("before: %+v", before)
	}
	if n := len(about(alice.Subject)); n != len(before) {
		t.Errorf("by subject: %d of %d", n, len(before))
	}
	if err := b.store.Update(t.Context(), func(tx vault.Tx) error { return tx.Users().Delete(key) }); err != nil {
		t.Fatal(err)
	}
	after := about(key)
	if len(after) != len(before) || slices.ContainsFunc(after, func(e vault.AuditEntry) bool { return e.Person != "" }) || len(about(alice.Subject)) > 0 {
		t.Errorf("after: %+v", after)
	}
	for _, row := range b.allRows()["main"] {
		text := row.User + row.Kind + string(row.Body)
		for _, personal := range []string{"alice", "idp.example\",\"sub", "acc-1", "canary"} {
			if strings.Contains(text, personal) {
				t.Errorf("entry %d holds %q: %s", row.Seq, personal, text)
			}
		}
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// The streams are read as one log by time, and a query takes what it names.
func TestAuditLogOfSeveralStreams(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := func(c *vault.Config) { c.Store = onServer{c.Store, b.clock} }
	b.living("p1", vault.Stream)
	p1, p2 := b.open("p1", server), b.open("p2", server)
	begin := b.clock.Now()
	var want []string
	for i := range 20 {
		v, stream := p1, "main"
		if i%3 == 1 {
			v, stream = p2, "main-2"
		}
		b.entries(v, 1)
		want = append(want, stream)
		b.clock.add(time.Minute)
	}
	read := func(q vault.AuditQuery) (out []string) {
		for e, err := range b.AuditLog(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e.Stream)
		}
		return out
	}
	if got := read(vault.AuditQuery{Kind: "request_state."}); !slices.Equal(got, want) {
		t.Errorf("all: %v, want %v", got, want)
	}
	if got := read(vault.AuditQuery{Since: begin.Add(5 * time.Minute), Until: begin.Add(7 * time.Minute)}); !slices.Equal(got, want[5:7]) {
		t.Errorf("two minutes: %v", got)
	}
	if got := read(vault.AuditQuery{From: map[string]int64{"main": 13, "main-2": 8}}); !slices.Equal(got, want[18:]) && len(got) != 1 {
		t.Errorf("from: %v", got)
	}
	if got := read(vault.AuditQuery{Kind: "request_state"}); got != nil {
		t.Errorf("a kind that is none: %v", got)
	}
}

// FuzzAuditEntry: whatever stands in a row, decoding it neither fails nor makes up a result.
func FuzzAuditEntry(f *testing.F) {
	for _, body := range []string{"", "{}", "null", `{"result":"ok","scopes":["a"]}`, `{"result":1}`, `{"heads":[{"stream":"main","seq":1,"mac":"AA=="}]}`, "[1", "\xff"} {
		f.Add("token.released", []byte(body), int64(1))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte, at int64) {
		e := vault.ReadAuditRow(vault.AuditRow{Stream: "main", Seq: 1, Kind: kind, Time: at, Body: body})
		var plain struct{ Result string }
		if json.Unmarshal(body, &plain) != nil && e.Result != "unreadable" {
			t.Errorf("result %q of %q", e.Result, body)
		}
		if e.Kind != kind || e.Seq != 1 {
			t.Errorf("entry %+v", e)
		}
	})
}
