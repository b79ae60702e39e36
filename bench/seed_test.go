package bench_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
)

// seeder writes accounts straight into the store, sealed as the vault seals
// them: a million consents would take hours.
type seeder struct {
	*world
	tree  *seal.Tree
	index []byte
	now   time.Time
}

func newSeeder(b *testing.B, w *world) *seeder {
	b.Helper()
	tree, err := seal.NewTree([]seal.Key{w.key}, w.key.ID())
	if err != nil {
		b.Fatal(err)
	}
	s := &seeder{world: w, tree: tree, now: time.Now()}
	err = w.store.View(b.Context(), func(tx vault.Tx) error {
		u, err := tx.Users().Get("")
		if err != nil {
			return err
		}
		k, err := tx.Keys().Get(u.DEK)
		if err != nil {
			return err
		}
		root, err := tree.OpenDEK(w.ID(), "", seal.DEKID(u.DEK), k.Wrapped)
		if err != nil {
			return err
		}
		s.index = root.Derive("index/v1")
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// seed adds accounts for callers from to to, a thousand in a transaction.
func (s *seeder) seed(b *testing.B, from, to int) {
	b.Helper()
	for ; from < to; from += 1000 {
		err := s.store.Update(context.Background(), func(tx vault.Tx) error {
			for i := from; i < min(from+1000, to); i++ {
				if err := s.account(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func (s *seeder) account(tx vault.Tx, i int) error {
	user := s.Pseudonym(caller(i).Caller)
	dek, wrapped, err := s.tree.NewDEK(s.ID(), user, nil)
	if err != nil {
		return err
	}
	id, now := dek.ID(), s.now.UnixMilli()
	u := vault.UserRow{Key: user, DEK: id[:], Created: now}
	if err := tx.Users().Put(u, vault.KeyRow{ID: id[:], User: user, Wrapped: wrapped, Created: now}); err != nil {
		return err
	}
	name := strconv.Itoa(i)
	g := vault.GrantRow{
		ID: fmt.Sprintf("a_%020x", i), User: user, Connection: "files", Destination: s.conn.Destination(),
		AccountKey: s.hash("account", "files", name), State: string(vault.GrantActive), Gen: 1, Scopes: "files.read", GrantedBy: agent.ID,
		AccessExp: s.now.Add(1e5 * time.Hour).UnixMilli(), Created: now, Updated: now, Refreshed: now,
	}
	place := seal.Place{Tenant: s.ID(), Subject: user, Table: "grants", Row: g.ID, Connection: "files", Destination: g.Destination}
	sealed := func(p seal.Place, column string, gen uint64, value any) []byte {
		p.Column, p.Generation = column, gen
		return sealJSON(dek, p, value)
	}
	g.ProfileCT = sealed(place, "profile", 0, map[string]any{"v": 1, "account_id": name, "owner": caller(i)})
	g.AccessCT = sealed(place, "access", 1, map[string]any{"v": 1, "token": name + "~a"})
	g.RefreshCT = sealed(place, "refresh", 1, map[string]any{"v": 1, "token": name + "~r"})
	a := vault.AccessRow{
		ID: fmt.Sprintf("acc_%020x", i), User: user, Agent: s.hash("agent", agent.Issuer, agent.ID), Grant: g.ID, Scopes: "files.read",
		Expires: g.AccessExp, Created: now,
	}
	permits := s.hash("access", a.Agent, a.Grant, a.Scopes, strconv.FormatInt(a.Expires, 10), "true")
	a.AgentCT = sealed(seal.Place{Tenant: s.ID(), Subject: user, Table: "access", Row: a.ID, Destination: []byte(permits)}, "agent", 0, agent)
	if err := tx.Grants().Insert(g); err != nil {
		return err
	}
	return tx.Access().Put(a)
}

// hash is the vault's keyed hash of what is looked up without being stored.
func (s *seeder) hash(parts ...string) string {
	m := hmac.New(sha256.New, s.index)
	for _, p := range parts {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) //nolint:gosec // short
		m.Write([]byte(p))
	}
	return hex.EncodeToString(m.Sum(nil)[:20])
}

func sealJSON(dek *seal.DEK, p seal.Place, value any) []byte {
	plain, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	blob, err := dek.Seal(p, plain)
	if err != nil {
		panic(err)
	}
	return blob
}
