package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// User is a person as the operator sees them.
type User struct {
	Key      string // pseudonym: what logs and the audit show
	Person   Person // zero where it does not open; e-mail and name as at the last connecting
	Accounts int
	Created  time.Time
	Used     time.Time // zero = never
}

// UserDetail is all that the vault holds of a user, but no token.
type UserDetail struct {
	User
	Accounts []Account
	Access   []Access
	Audit    int // entries that are about them; these stay, under the pseudonym
}

// Deletion is what became of a user.
type Deletion struct {
	Revoked int // accounts whose vendor confirmed
	Pending int // accounts whose vendor has not, and is asked again for seven days
	Silent  int // accounts whose vendor was not to be told
	// OnDisk says why what was deleted may still be in the database's files: nil when it is not. Its sealed values open for nobody: their key is deleted, too.
	OnDisk error
}

// ErrStillOnDisk says that what was deleted may still be in the store's files.
var ErrStillOnDisk = errors.New("deleted values may still be in the database's files")

// Shredder is a Store that can have what was deleted leave its files.
type Shredder interface {
	// Shred answers nil when its files hold none of these deleted values any more, ErrStillOnDisk when that cannot be had now or cannot be seen.
	Shred(ctx context.Context, values [][]byte) error
}

const (
	usersAtOnce   = 500
	deleteTries   = 8
	vendorsAtOnce = 8
)

// Users are all people of this vault, oldest first: the operator's view, never an agent's.
func (v *Vault) Users(ctx context.Context) ([]User, error) {
	out, err := ofUsers(ctx, v, func(tx Tx, row UserRow) ([]User, error) {
		u, _, err := v.user(tx, row)
		return []User{u}, err
	})
	slices.SortStableFunc(out, func(a, b User) int { return a.Created.Compare(b.Created) })
	return out, err
}

// ofUsers collects what read answers of each user, some users in a transaction.
func ofUsers[T any](ctx context.Context, v *Vault, read func(tx Tx, row UserRow) ([]T, error)) (out []T, err error) {
	for after := ""; ; {
		var rows []UserRow
		var some []T
		err := v.store.View(ctx, func(tx Tx) (err error) {
			some = some[:0]
			if rows, err = tx.Users().List(after, usersAtOnce); err != nil {
				return err
			}
			for _, row := range rows {
				found, err := read(tx, row)
				if err != nil {
					return err
				}
				some = append(some, found...)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("listing users: %w", err)
		}
		if out = append(out, some...); len(rows) < usersAtOnce {
			return out, nil
		}
		after = rows[len(rows)-1].Key
	}
}

// user opens what a row says of a person, and their accounts.
func (v *Vault) user(tx Tx, row UserRow) (User, []account, error) {
	u := User{Key: row.Key, Created: FromMillis(row.Created)}
	all, err := v.accounts(tx, row.Key)
	if err != nil {
		return u, nil, err
	}
	dek, err := v.dataKey(tx, row)
	var p userProfile
	if err == nil {
		err = openJSON(dek, v.userPlace(row), row.ProfileCT, &p)
	}
	if unlessDamaged(err) != nil {
		return u, nil, fmt.Errorf("opening user %s: %w", row.Key, err)
	}
	u.Accounts, u.Person.Caller = len(all), Caller{Issuer: p.Issuer, Subject: p.Subject}
	latest, used := int64(0), int64(0)
	for _, a := range all {
		used = max(used, a.row.Used)
		if o := a.profile.Owner; o.Caller == u.Person.Caller && a.row.Updated >= latest {
			u.Person, latest = o, a.row.Updated
		}
	}
	u.Used = FromMillis(used)
	return u, all, nil
}

// FindUsers answers whom an operator may mean: by pseudonym, subject or e-mail. Several are for the operator to choose from.
func (v *Vault) FindUsers(ctx context.Context, who string) ([]User, error) {
	all, err := v.Users(ctx)
	return slices.DeleteFunc(all, func(u User) bool {
		return who == "" || u.Key != who && u.Person.Subject != who && !strings.EqualFold(u.Person.Email, who)
	}), err
}

// User answers all of a user by the pseudonym, or ErrNotFound.
func (v *Vault) User(ctx context.Context, key string) (d UserDetail, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		row, err := tx.Users().Get(key)
		if err != nil || key == "" {
			return cmp.Or(err, ErrNotFound)
		}
		var all []account
		if d.User, all, err = v.user(tx, row); err != nil {
			return err
		}
		d.Accounts = make([]Account, len(all))
		for i, a := range all {
			d.Accounts[i] = v.view(a)
		}
		d.Access, err = v.accessOf(tx, key)
		return err
	})
	if err == nil {
		d.Audit, err = v.auditedOf(ctx, key)
	}
	if err != nil {
		return UserDetail{}, fmt.Errorf("reading user: %w", err)
	}
	return d, nil
}

// auditedOf counts the entries of a user by reading them all.
func (v *Vault) auditedOf(ctx context.Context, key string) (n int, err error) {
	var streams []string
	if err := v.store.View(ctx, func(tx Tx) (err error) { streams, err = tx.Audit().Streams(); return err }); err != nil {
		return 0, err
	}
	for _, s := range streams {
		for seq := int64(1); ; {
			var rows []AuditRow
			if err := v.store.View(ctx, func(tx Tx) (err error) { rows, err = tx.Audit().Read(s, seq, 1000); return err }); err != nil {
				return n, err
			}
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				if r.User == key {
					n++
				}
			}
			seq = rows[len(rows)-1].Seq + 1
		}
	}
	return n, nil
}

// DeleteUser ends every grant of a user, first here and then at its vendor,
// removes all that the vault holds of them with the keys that sealed it, and has
// the store shred it. The audit keeps the pseudonym. A vendor that does not
// confirm is asked again in the background: for that alone the tokens of that
// account stay, sealed by the vault, until it has confirmed or seven days are over.
// ErrNotFound says that there is no such user.
func (v *Vault) DeleteUser(ctx context.Context, key string) (d Deletion, err error) {
	ctx = context.WithoutCancel(ctx) // half a deletion helps nobody
	var sealed [][]byte
	for range deleteTries {
		debts, before, err := v.endAll(ctx, key)
		if err != nil {
			return d, fmt.Errorf("deleting user: %w", err)
		}
		revoked := v.settleAll(ctx, debts)
		d.Revoked, d.Pending, d.Silent = d.Revoked+revoked.Revoked, d.Pending+revoked.Pending, d.Silent+revoked.Silent
		gone, rest, err := v.dropUser(ctx, key)
		if err != nil {
			return d, fmt.Errorf("deleting user: %w", err)
		}
		if sealed = append(append(sealed, before...), rest...); gone {
			d.OnDisk = v.shred(ctx, sealed)
			return d, nil
		}
	}
	return d, fmt.Errorf("deleting user: accounts are being connected meanwhile: %w", ErrConflict)
}

// endAll ends all grants that are not over, at once, and answers what of them
// must leave the disk. Some vendors need not be told: those are nil.
func (v *Vault) endAll(ctx context.Context, key string) (debts []*owed, sealed [][]byte, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		debts = nil
		if _, err := tx.Users().Get(key); err != nil || key == "" {
			return cmp.Or(err, ErrNotFound)
		}
		rows, err := tx.Grants().List(GrantFilter{User: key})
		if err != nil {
			return err
		}
		if sealed, err = v.sealedOf(tx, key, rows); err != nil {
			return err
		}
		for _, g := range rows {
			if g.State == string(GrantRevoked) {
				continue
			}
			o, err := v.endGrant(tx, g, "user_deleted")
			if err != nil {
				return err
			}
			debts = append(debts, o)
		}
		held, err := v.dropAllHeld(tx, key)
		debts = append(debts, held...)
		return err
	})
	return debts, sealed, err
}

// settleAll asks some vendors at a time.
func (v *Vault) settleAll(ctx context.Context, debts []*owed) (d Deletion) {
	var mu sync.Mutex
	var all sync.WaitGroup
	room := make(chan struct{}, vendorsAtOnce)
	told := slices.DeleteFunc(debts, func(o *owed) bool { return o == nil })
	d.Silent = len(debts) - len(told)
	for _, o := range told {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			atVendor, err := v.settle(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				d.Pending++
			case atVendor:
				d.Revoked++
			default:
				d.Silent++
			}
		})
	}
	all.Wait()
	return d
}

// dropUser removes the user, unless an account was connected meanwhile, and
// answers what of them must leave the disk.
func (v *Vault) dropUser(ctx context.Context, key string) (gone bool, sealed [][]byte, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		gone = false
		rows, err := tx.Grants().List(GrantFilter{User: key})
		if err != nil || slices.ContainsFunc(rows, func(g GrantRow) bool { return g.State != string(GrantRevoked) }) {
			return err
		}
		if sealed, err = v.sealedOf(tx, key, rows); err != nil {
			return err
		}
		if err := tx.Users().Delete(key); err != nil {
			return err
		}
		gone = true
		return v.append(tx, Entry{Kind: "user.deleted", user: key})
	})
	return gone, sealed, err
}

// sealedOf are a user's ciphertexts and wrapped keys.
func (v *Vault) sealedOf(tx Tx, key string, grants []GrantRow) (out [][]byte, err error) {
	u, err := tx.Users().Get(key)
	if err != nil {
		return nil, err
	}
	access, err := tx.Access().List(key)
	if err != nil {
		return nil, err
	}
	out = append(out, u.ProfileCT)
	for _, g := range grants {
		out = append(out, g.ProfileCT, g.AccessCT, g.RefreshCT, g.AltCT)
	}
	for _, a := range access {
		out = append(out, a.AgentCT)
	}
	keys, err := tx.Keys().Of(key)
	for _, k := range keys { // also those of long ago, which summaries in the audit are sealed under
		out = append(out, k.Wrapped)
	}
	return out, err
}

func (v *Vault) shred(ctx context.Context, sealed [][]byte) error {
	s, ok := v.cfg.Store.(Shredder)
	if !ok {
		return ErrStillOnDisk
	}
	return s.Shred(ctx, sealed)
}
