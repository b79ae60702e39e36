package vault_test

import (
	"context"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// A process is listed while it runs; who is dead is removed by the others, and nobody else.
func TestProcessesComeAndGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dead := func(c *vault.Config) { c.OwnerDead = func(id string) bool { return id == "killed" } }
	stale := vault.Millis(b.clock.Now().Add(-time.Hour))
	err := b.store.Update(t.Context(), func(tx vault.Tx) error {
		for _, id := range []string{"killed", "frozen"} {
			if err := tx.Processes().Put(vault.ProcessRow{ID: id, Keys: []byte{}, Started: stale, Beat: stale}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v := b.open("p2", dead, func(c *vault.Config) { c.Version = "1.2.3" })
	for _, p := range b.processes(v) {
		if p.Live != (p.ID == "frozen") {
			t.Errorf("%s: live is %t", p.ID, p.Live)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- v.Run(ctx) }()
	var got vault.Process
	b.eventually("the process to be listed", func() bool {
		list := b.processes(b.Vault)
		got = list[len(list)-1]
		return got.ID == "p2"
	})
	if list := b.processes(b.Vault); len(list) != 2 || list[0].ID != "frozen" {
		t.Errorf("processes: %+v", list)
	}
	if got.ID != "p2" || got.Version != "1.2.3" || len(got.Keys) != 1 || got.Keys[0] != b.keys[0].ID() || !got.Live {
		t.Errorf("process %+v", got)
	}
	stop()
	<-ended
	if len(b.processes(b.Vault)) != 2 {
		t.Error("a process left the list while work may be under way")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if left := b.processes(b.Vault); len(left) != 1 || left[0].ID != "frozen" {
		t.Errorf("after the stop: %+v", left)
	}
}

// A lease on a server is taken over before its end only from a process that has
// said nothing for a while, the lease itself included.
func TestTakeOverOnAServer(t *testing.T) {
	t.Parallel()
	type ago = time.Duration
	for name, tc := range map[string]struct {
		beat, attempt ago // beat 0 = no row
		taken         bool
	}{
		"silent":               {20 * time.Second, 20 * time.Second, true},
		"silent, lease is new": {20 * time.Second, time.Second, false},
		"beats":                {time.Second, 20 * time.Second, false},
		"never had a row":      {0, 20 * time.Second, false},
		"lease is over":        {time.Second, 31 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOn(t, storetest.Postgres(t), func(c *vault.Config) { c.Now = time.Now })
			b.clock.add(time.Until(b.clock.Now()))
			acc := b.connect(alice, agent)
			r := request(alice, agent)
			r.Stale = &b.token(r).Bearer
			g := b.row(acc.ID)
			err := b.store.Update(t.Context(), func(tx vault.Tx) error {
				now, err := tx.Vault().Now()
				if err != nil {
					return err
				}
				attempt := now - tc.attempt.Milliseconds()
				if tc.beat > 0 {
					row := vault.ProcessRow{ID: "other", Keys: []byte{}, Started: 1, Beat: now - tc.beat.Milliseconds()}
					if err := tx.Processes().Put(row); err != nil {
						return err
					}
				}
				return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, vault.Lease{
					Owner: "other", Seq: g.LeaseSeq + 1, Until: attempt + 30_000, AttemptAt: attempt, Phase: "sent",
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			before := b.vendor.requests()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err = b.Exchange(ctx, r)
			if taken := err == nil && b.vendor.requests() == before+1; taken != tc.taken {
				t.Errorf("taken over: %t (%v, %d requests)", taken, err, b.vendor.requests()-before)
			}
		})
	}
}

// A user's data key is replaced at the first write of its second year; what it sealed opens all the same.
func TestDataKeyRolls(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.AccessTTL = 10_000 * time.Hour })
	acc := b.connect(alice, agent)
	user := b.row(acc.ID).User
	owned := func() (u vault.UserRow) {
		err := b.store.View(t.Context(), func(tx vault.Tx) (err error) { u, err = tx.Users().Get(user); return err })
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	keys := func() (n int64) {
		for _, k := range b.status(b.Vault) {
			n += k.DataKeys
		}
		return n
	}
	if err := b.Records().Put(t.Context(), "note", "n", alice.Caller, []byte("old"), 10_000*time.Hour); err != nil {
		t.Fatal(err)
	}
	first := owned()
	b.clock.add(364 * 24 * time.Hour)
	b.let(agent)                   // which nobody used for so long
	b.token(request(alice, agent)) // refreshes
	if string(owned().DEK) != string(first.DEK) || keys() != 2 {
		t.Error("a data key was replaced before its time")
	}
	b.clock.add(2 * 24 * time.Hour)
	b.token(request(alice, agent)) // refreshes
	second := owned()
	if string(second.DEK) == string(first.DEK) || string(second.ProfileCT) == string(first.ProfileCT) || keys() != 3 {
		t.Fatal("the data key was not replaced")
	}
	if got := string(b.row(acc.ID).AccessCT[2:18]); got != string(second.DEK) {
		t.Error("the new token is sealed under the old key")
	}
	b.Vault = b.open("p2")
	b.token(request(alice, agent))
	if got, err := b.Records().Get(t.Context(), "note", "n"); err != nil || string(got) != "old" {
		t.Errorf("what the old key sealed: %q, %v", got, err)
	}
	if list, err := b.AccessList(t.Context(), alice.Caller); err != nil || len(list) != 1 || list[0].Agent != agent {
		t.Errorf("access: %+v, %v", list, err)
	}
	if string(owned().DEK) != string(second.DEK) {
		t.Error("the data key was replaced twice")
	}
}
