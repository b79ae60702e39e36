package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// called writes the entry of a call, as one that ran does.
func (b *bench) called(v *vault.Vault, p vault.Person, a vault.Agent, tool, account, summary string) {
	b.t.Helper()
	err := v.Audit(b.t.Context(), vault.Entry{Kind: "tool.called", Caller: p.Caller, Agent: a, Tool: tool, Account: account, Summary: summary})
	if err != nil {
		b.t.Fatal(err)
	}
}

// pages reads all pages of a query.
func (b *bench) pages(p vault.Person, q vault.ActivityQuery) (out []vault.Activity) {
	b.t.Helper()
	for {
		page, next, err := b.Activity(b.t.Context(), p.Caller, q)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, page...)
		if q.Before = next; next == "" {
			return out
		}
		if q.Limit > 0 && len(page) > q.Limit {
			b.t.Fatalf("a page of %d", len(page))
		}
	}
}

func summaries(all []vault.Activity) (out []string) {
	for _, a := range all {
		out = append(out, a.Summary)
	}
	return out
}

// A person sees what was done in their name, newest first, with names and what tools said of it.
func TestActivity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(time.Minute)
	b.called(b.Vault, alice, agent, "chat_post_message", acc.ID, "to #sales")
	b.clock.add(time.Minute)
	b.called(b.Vault, alice, vault.Agent{ID: "stdio:cursor"}, "mail_send", "", " to\r\n\x1b[1m"+strings.Repeat("ü", 150))
	b.called(b.Vault, bob, agent, "chat_post_message", "", "to #board")
	got := b.pages(alice, vault.ActivityQuery{Kinds: []string{"tool."}})
	if len(got) != 2 {
		t.Fatalf("%d calls: %+v", len(got), got)
	}
	if a := got[1]; a.Summary != "to #sales" || a.AgentName != "Claude Code" || a.AccountLabel != acc.Label || a.Tool != "chat_post_message" || !a.Time.Equal(b.clock.Now().Add(-time.Minute)) {
		t.Errorf("the first call is %+v", a)
	}
	if a := got[0]; a.AgentName != "cursor" || a.AccountLabel != "" || !strings.HasPrefix(a.Summary, "to [1mü") || !strings.HasSuffix(a.Summary, "ü…") || len(a.Summary) > 200 {
		t.Errorf("the second call is %+v", a)
	}
	all := b.pages(alice, vault.ActivityQuery{Limit: 2})
	if diff := cmp.Diff(b.pages(alice, vault.ActivityQuery{}), all); diff != "" || len(all) < 6 || all[len(all)-1].Kind != "ticket.opened" && all[len(all)-1].Kind != "token.refused" {
		t.Errorf("page by page it is another: %s", diff)
	}
	for _, a := range all {
		if a.User != b.Pseudonym(alice.Caller) {
			t.Errorf("another's entry: %+v", a)
		}
	}
}

// Each filter takes what it names.
func TestActivityFilters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cursor := vault.Agent{ID: "stdio:cursor"}
	acc := b.connect(alice, agent)
	for i, a := range []vault.Agent{agent, cursor, agent, cursor} {
		b.clock.add(time.Second)
		b.called(b.Vault, alice, a, fmt.Sprintf("tool_%d", i%3), []string{acc.ID, "other"}[i/2], fmt.Sprint(i))
	}
	for name, test := range map[string]struct {
		q    vault.ActivityQuery
		want []string
	}{
		"agent":          {vault.ActivityQuery{Agent: b.AgentKey(cursor)}, []string{"3", "1"}},
		"another issuer": {vault.ActivityQuery{Agent: b.AgentKey(vault.Agent{Issuer: "https://x.example", ID: agent.ID})}, nil},
		"account":        {vault.ActivityQuery{Account: "other"}, []string{"3", "2"}},
		"tool":           {vault.ActivityQuery{Tool: "tool_0"}, []string{"3", "0"}},
		"kind":           {vault.ActivityQuery{Kinds: []string{"tool.called", "none"}}, []string{"3", "2", "1", "0"}},
		"all of them":    {vault.ActivityQuery{Kinds: []string{"tool."}, Tool: "tool_1", Account: acc.ID, Agent: b.AgentKey(cursor)}, []string{"1"}},
		"nothing":        {vault.ActivityQuery{Kinds: []string{"tool"}}, nil},
	} {
		if got := summaries(b.pages(alice, test.q)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	for _, cursor := range []string{"x", "1.x", "0.0.", "."} {
		if _, _, err := b.Activity(t.Context(), alice.Caller, vault.ActivityQuery{Before: cursor}); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

// R42: a cursor from another person's page shows nothing of theirs.
func TestR42ActivityIsOnesOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 4 {
		b.called(b.Vault, alice, agent, "t", "", fmt.Sprint("alice's ", i))
		b.called(b.Vault, bob, agent, "t", "", fmt.Sprint("bob's ", i))
	}
	_, next, err := b.Activity(t.Context(), alice.Caller, vault.ActivityQuery{Limit: 1})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	page, _, err := b.Activity(t.Context(), bob.Caller, vault.ActivityQuery{Before: next})
	if err != nil || len(page) == 0 {
		t.Fatalf("%d entries, %v", len(page), err)
	}
	for _, a := range page {
		if a.User != b.Pseudonym(bob.Caller) || strings.Contains(a.Summary, "alice") {
			t.Errorf("bob sees %+v", a)
		}
	}
}

// On PostgreSQL each process writes a chain of its own; a person sees one list.
func TestActivityOfSeveralStreams(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, storetest.Postgres(t))
	b.connect(alice, agent)
	second := b.open("p2")
	running(t, b.Vault)
	running(t, second)
	var want []string
	for i := range 12 {
		b.clock.add(time.Duration(i%3) * time.Millisecond) // some at one time
		v := b.Vault
		if i%2 == 1 {
			v = second
		}
		b.called(v, alice, agent, "t", "", fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	streams := map[string]bool{}
	got := b.pages(alice, vault.ActivityQuery{Kinds: []string{"tool."}, Limit: 5})
	for i, a := range got {
		streams[a.Stream] = true
		if i > 0 && a.Time.After(got[i-1].Time) {
			t.Errorf("entry %d is younger than the one before", i)
		}
	}
	seen := summaries(got)
	slices.Sort(seen)
	if slices.Sort(want); !slices.Equal(seen, want) || len(streams) != 2 {
		t.Errorf("%q of streams %v", seen, streams)
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// R75: what a tool said of a call is on the disk in no form that anybody can read: sealed
// while the user lives, without its key once they are deleted. The chain holds all the same.
func TestR75SummariesAreShredded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.called(b.Vault, alice, agent, "chat_post_message", "", "to #canary-of-a-summary")
	b.clock.add(400 * 24 * time.Hour) // the next value is sealed under a fresh key
	b.ticket(alice, agent, b.lack(request(alice, agent)))
	b.called(b.Vault, alice, agent, "chat_post_message", "", "to #canary-of-the-next")
	b.called(b.Vault, bob, agent, "chat_post_message", "", "to nobody") // whom the vault has never seen: there is no key to seal it under
	if got := summaries(b.pages(alice, vault.ActivityQuery{Kinds: []string{"tool."}})); len(got) != 2 || !strings.HasPrefix(got[1], "to #canary") {
		t.Fatalf("before: %q", got)
	}
	user := b.Pseudonym(alice.Caller)
	var wrapped [][]byte
	if err := b.store.View(t.Context(), func(tx vault.Tx) error {
		keys, err := tx.Keys().Of(user)
		for _, k := range keys {
			wrapped = append(wrapped, k.Wrapped)
		}
		return err
	}); err != nil || len(wrapped) != 2 {
		t.Fatalf("%d keys, %v", len(wrapped), err)
	}
	if b.onDisk([][]byte{[]byte("canary-of")}) != 0 || b.onDisk(wrapped) == 0 {
		t.Error("a summary is readable on the disk, or the keys are not where the test looks")
	}
	if d, err := b.DeleteUser(t.Context(), user); err != nil || d.OnDisk != nil {
		t.Fatalf("deletion = %+v, %v", d, err)
	}
	if n := b.onDisk(append(wrapped, []byte("canary-of"))); n != 0 {
		t.Errorf("%d values are still on disk", n)
	}
	if got := strings.Join(summaries(b.pages(alice, vault.ActivityQuery{})), ""); got != "" {
		t.Errorf("a deleted user's summaries open: %q", got)
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	for e, err := range b.AuditLog(t.Context(), vault.AuditQuery{}) {
		if err != nil || strings.Contains(fmt.Sprintf("%+v", e), "canary-of") {
			t.Errorf("the log says %+v, %v", e, err)
		}
	}
}

// A summary that was moved to another entry shows nothing there.
func TestSummaryStaysInItsEntry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.called(b.Vault, alice, agent, "t", "", "the first")
	b.called(b.Vault, alice, agent, "t", "", "the other")
	rows := b.allRows()
	main := rows["main"]
	first, second := main[len(main)-2], &main[len(main)-1]
	cut := func(body []byte) []byte {
		_, rest, _ := bytes.Cut(body, []byte(`"summary":"`))
		sealed, _, _ := bytes.Cut(rest, []byte(`"`))
		return sealed
	}
	if len(cut(first.Body)) == 0 || len(cut(first.Body)) != len(cut(second.Body)) {
		t.Fatalf("no sealed summaries of one length: %s", first.Body)
	}
	second.Body = bytes.Replace(second.Body, cut(second.Body), cut(first.Body), 1)
	v := b.open("p2", func(c *vault.Config) { c.Store = &edited{c.Store, rows} })
	page, _, err := v.Activity(t.Context(), alice.Caller, vault.ActivityQuery{Limit: 2})
	if err != nil || len(page) != 2 || page[0].Summary != "" || page[1].Summary != "the first" {
		t.Errorf("page %+v, %v", page, err)
	}
}
