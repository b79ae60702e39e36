package vault

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/grantry/grantry/vault/seal"
)

// Records seal everything short-lived: tickets, flows, browser sessions, used
// ids. A record is found by its kind and the hash of a handle that only its
// holder has, and sealed under its owner's data key, so that it is shredded
// with them; without an owner, under the vault's own.
type Records struct{ v *Vault }

// Records answers the vault's records for other packages; kinds are theirs to name ("session", "signin").
func (v *Vault) Records() *Records { return &Records{v: v} }

// Put stores value under handle for ttl, replacing what was there.
func (r *Records) Put(ctx context.Context, kind, handle string, owner Caller, value []byte, ttl time.Duration) error {
	return r.v.store.Update(ctx, func(tx Tx) error {
		user := ""
		if !owner.IsZero() {
			var err error
			if user, _, err = r.v.ensureUser(tx, owner); err != nil {
				return err
			}
		}
		return r.v.putRecord(tx, kind, handle, user, value, r.v.now()+ttl.Milliseconds())
	})
}

// Get answers a value that has not expired, or ErrNotFound.
func (r *Records) Get(ctx context.Context, kind, handle string) (value []byte, err error) {
	err = r.v.store.View(ctx, func(tx Tx) error {
		_, value, err = r.v.getRecord(tx, kind, handle)
		return err
	})
	return value, err
}

// List answers all values of one kind that belong to owner and have not expired, those that expire first first.
func (r *Records) List(ctx context.Context, kind string, owner Caller) (values [][]byte, err error) {
	err = r.v.store.View(ctx, func(tx Tx) error {
		values = nil
		recs, err := tx.Records().List(kind, r.v.Pseudonym(owner), r.v.now())
		if err != nil {
			return err
		}
		for _, rec := range recs {
			value, err := r.v.openRecord(tx, rec)
			if err != nil {
				return err
			}
			values = append(values, value)
		}
		return nil
	})
	return values, err
}

// Take answers a value and removes it: once, however many ask, also after a restart (R63).
func (r *Records) Take(ctx context.Context, kind, handle string) (value []byte, err error) {
	err = r.v.store.Update(ctx, func(tx Tx) error {
		value, err = r.v.takeRecord(tx, kind, handle)
		return err
	})
	return value, err
}

// Delete removes a value; it is no error when there is none.
func (r *Records) Delete(ctx context.Context, kind, handle string) error {
	_, err := r.Take(ctx, kind, handle)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Change replaces a value by what fn makes of it, in one transaction: of those
// who change it at the same time each sees what the one before left (R51). fn
// gets nil where there is none, and what it makes then belongs to nobody. The
// time to live begins again. An error of fn leaves everything as it was and comes back. fn may run more than once.
func (r *Records) Change(ctx context.Context, kind, handle string, fn func(old []byte) (value []byte, ttl time.Duration, err error)) error {
	return r.v.store.Update(ctx, func(tx Tx) error {
		rec, old, err := r.v.getRecord(tx, kind, handle)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		value, ttl, err := fn(old)
		if err != nil {
			return err
		}
		return r.v.putRecord(tx, kind, handle, rec.Owner, value, r.v.now()+ttl.Milliseconds())
	})
}

// sweepAtOnce is how many records one transaction removes.
const sweepAtOnce = 1000

// Sweep removes expired records, some at a time, and says how many went. Tickets that nobody answered in time are audited on the way, and what was held too long is given back to its vendor.
func (v *Vault) Sweep(ctx context.Context) (n int, err error) {
	var debts []*owed
	err = v.store.Update(ctx, func(tx Tx) error {
		var expired int
		expired, debts, err = v.expire(tx)
		if err != nil {
			return err
		}
		n, err = tx.Records().Sweep(v.now(), sweepAtOnce)
		n += expired
		return err
	})
	if err != nil {
		return n, err
	}
	for _, o := range debts {
		_, _ = v.settle(ctx, o) // it notes what the vendor does not confirm, and is asked again
	}
	return n, nil
}

func handleHash(handle string) []byte {
	sum := sha256.Sum256([]byte(handle))
	return sum[:]
}

func (v *Vault) putRecord(tx Tx, kind, handle, user string, value []byte, expires int64) error {
	return v.putHashed(tx, Record{Kind: kind, Hash: handleHash(handle), Owner: user, Expires: expires}, value)
}

// putHashed stores value as the next version of a record.
func (v *Vault) putHashed(tx Tx, rec Record, value []byte) error {
	rec.Version = 1
	switch old, err := tx.Records().Get(rec.Kind, rec.Hash, v.now()); {
	case err == nil:
		rec.Version = old.Version + 1
	case !errors.Is(err, ErrNotFound):
		return err
	}
	dek, err := v.ownerDEK(tx, rec.Owner)
	if err != nil {
		return err
	}
	if rec.Value, err = dek.Seal(v.recordPlace(rec), value); err != nil {
		return err
	}
	return tx.Records().Put(rec, v.now())
}

func (v *Vault) getRecord(tx Tx, kind, handle string) (Record, []byte, error) {
	rec, err := tx.Records().Get(kind, handleHash(handle), v.now())
	if err != nil {
		return Record{}, nil, err
	}
	value, err := v.openRecord(tx, rec)
	return rec, value, err
}

func (v *Vault) takeRecord(tx Tx, kind, handle string) ([]byte, error) {
	rec, err := tx.Records().Take(kind, handleHash(handle), v.now())
	if err != nil {
		return nil, err
	}
	return v.openRecord(tx, rec)
}

func (v *Vault) openRecord(tx Tx, rec Record) ([]byte, error) {
	id, err := seal.BlobDEK(rec.Value)
	if err != nil {
		return nil, err
	}
	dek, err := v.dataKeyByID(tx, rec.Owner, id[:])
	if err != nil {
		return nil, err
	}
	return dek.Open(v.recordPlace(rec), rec.Value)
}

func (v *Vault) ownerDEK(tx Tx, user string) (*seal.DEK, error) {
	if user == "" {
		return v.root, nil
	}
	return v.userDEK(tx, user)
}

func (v *Vault) recordPlace(r Record) seal.Place {
	return seal.Place{
		Tenant: v.id, Subject: r.Owner, Table: "records", Column: r.Kind, Row: hex.EncodeToString(r.Hash),
		Generation: uint64(r.Version), Destination: binary.BigEndian.AppendUint64(nil, uint64(r.Expires)),
	}
}
