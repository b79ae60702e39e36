package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// sealedOf is everything of a user that a deletion must take off the disk: wrapped keys and ciphertext.
func (b *bench) sealedOf(user string) (out [][]byte) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx vault.Tx) error {
		u, err := tx.Users().Get(user)
		if err != nil {
			return err
		}
		k, err := tx.Keys().Get(u.DEK)
		if err != nil {
			return err
		}
		out = append(out, u.ProfileCT, k.Wrapped)
		rows, err := tx.Grants().List(vault.GrantFilter{User: user})
		for _, g := range rows {
			out = append(out, g.ProfileCT, g.AccessCT, g.RefreshCT, g.AltCT)
		}
		if err != nil {
			return err
		}
		access, err := tx.Access().List(user)
		for _, a := range access {
			out = append(out, a.AgentCT)
		}
		if err != nil {
			return err
		}
		recs, err := tx.Records().List("ticket", user, 1)
		for _, r := range recs {
			out = append(out, r.Value)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// onDisk counts the values that are in a file of the database.
func (b *bench) onDisk(values [][]byte) (n int) {
	b.t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(b.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			b.t.Fatal(err)
		}
		for _, v := range values {
			if len(v) > 0 && bytes.Contains(data, v) {
				n++
			}
		}
	}
	return n
}

func person(i int) vault.Person {
	return vault.Person{
		Caller: vault.Caller{Issuer: "https://idp.example", Subject: fmt.Sprintf("user-canary-%d", i)},
		Email:  fmt.Sprintf("user%d@example.com", i), EmailVerified: true,
	}
}

// R75: of a deleted user no key and no ciphertext of any generation is left in
// the database or its log, also when many others' rows moved between pages.
func TestDeletedUserIsShredded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const people = 60
	var sealed [people][][]byte
	for i := range people {
		p := person(i)
		b.vendor.set(func(v *vendor) { v.account, v.email = "acc-"+p.Subject, p.Email })
		b.connect(p, agent)
		b.token(request(p, agent))
		sealed[i] = b.sealedOf(b.Pseudonym(p.Caller))
	}
	for i := 0; i < people; i += 3 {
		key := b.Pseudonym(person(i).Caller)
		if n := b.onDisk(sealed[i]); n == 0 {
			t.Fatal("nothing of a live user is on disk: the test looks in the wrong place")
		}
		d, err := b.DeleteUser(t.Context(), key)
		if err != nil || d.Revoked != 1 || d.Pending != 0 || d.OnDisk != nil {
			t.Fatalf("deletion = %+v, %v", d, err)
		}
		if n := b.onDisk(sealed[i]); n != 0 {
			t.Errorf("user %d: %d of %d values are still on disk", i, n, len(sealed[i]))
		}
	}
	for i := 1; i < people; i += 3 {
		if tok := b.token(request(person(i), agent)); tok == nil {
			t.Error("another user's token is gone")
		}
	}
	if n := b.audited("user.deleted"); n != people/3 {
		t.Errorf("%d entries", n)
	}
}

// A deleted user's token is released by no process, whatever it holds in memory.
func TestDeletedUserInAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	other := b.open("p2")
	if _, err := other.DeleteUser(t.Context(), b.Pseudonym(alice.Caller)); err != nil {
		t.Fatal(err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.NotConnected {
		t.Errorf("lack = %+v", e)
	}
	if _, err := b.User(t.Context(), b.Pseudonym(alice.Caller)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("user: %v", err)
	}
	if _, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("deleting again: %v", err)
	}
	if _, err := b.DeleteUser(t.Context(), ""); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("deleting the vault itself: %v", err)
	}
	if again := b.connect(alice, agent); again.ID == acc.ID {
		t.Error("a person who comes back has their old account")
	}
}

// A deletion says honestly that a reader of another process keeps bytes on disk.
func TestReaderKeepsDeletedBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	other := b.openStore()
	t.Cleanup(func() { _ = other.Close() })
	reading, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- other.View(t.Context(), func(tx vault.Tx) error {
			_, err := tx.Users().Get("")
			close(reading)
			<-end
			return err
		})
	}()
	<-reading
	d, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller))
	if err != nil || !errors.Is(d.OnDisk, vault.ErrStillOnDisk) {
		t.Errorf("%+v, %v", d, err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The operator sees who is in the vault, and names them by e-mail, subject or pseudonym.
func TestUsers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	b.clock.add(time.Minute)
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", bob.Email })
	b.connect(bob, agent)
	all, err := b.Users(t.Context())
	if err != nil || len(all) != 2 || all[0].Person.Email != alice.Email || all[1].Person.Caller != bob.Caller {
		t.Fatalf("users = %+v, %v", all, err)
	}
	for _, who := range []string{"ALICE@example.com", "alice", all[0].Key} {
		if found, err := b.FindUsers(t.Context(), who); err != nil || len(found) != 1 || found[0].Key != all[0].Key {
			t.Errorf("%q: %+v, %v", who, found, err)
		}
	}
	if found, err := b.FindUsers(t.Context(), ""); err != nil || len(found) != 0 {
		t.Errorf("nobody: %+v, %v", found, err)
	}
	d, err := b.User(t.Context(), all[0].Key)
	if err != nil || len(d.Accounts) != 1 || d.Accounts[0].ID != acc.ID || len(d.Access) != 1 || d.Access[0].Agent != agent || d.Audit == 0 {
		t.Errorf("detail = %+v, %v", d, err)
	}
}
