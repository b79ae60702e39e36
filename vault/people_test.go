package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

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

var _ = errors.Is
var _ = http.StatusOK
