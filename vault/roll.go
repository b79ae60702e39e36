package vault

import (
	"fmt"
	"time"

	"github.com/grantry/grantry/vault/seal"
)

// dekAge is how long a data key seals new values. A user has thousands of token
// writes in that time, far from the 2^28 at which a key should be replaced at the latest.
const dekAge = 365 * 24 * time.Hour

// sealingKey opens the data key under which a new value of a user is sealed: the
// one in use or, when that is a year old, a fresh one. What is sealed already
// names its own key, which stays as long as the user does: audit entries are
// never sealed anew.
func (v *Vault) sealingKey(tx Tx, u UserRow) (*seal.DEK, error) {
	dek, err := v.dataKey(tx, u)
	if err != nil {
		return nil, err
	}
	k, err := tx.Keys().Get(u.DEK)
	if err != nil {
		return nil, fmt.Errorf("reading data key: %w", err)
	}
	if v.now()-k.Created < dekAge.Milliseconds() {
		return dek, nil
	}
	return v.roll(tx, u)
}

// roll gives a user a fresh data key and seals their profile under it.
func (v *Vault) roll(tx Tx, u UserRow) (*seal.DEK, error) {
	tree, err := v.wrapping(tx)
	if err != nil {
		return nil, err
	}
	fresh, wrapped, err := tree.NewDEK(v.id, u.Key, v.cfg.Rand)
	if err != nil {
		return nil, err
	}
	profile, err := v.resealProfile(tx, u, fresh)
	if err != nil {
		return nil, err
	}
	id := fresh.ID()
	if err := tx.Keys().Insert(KeyRow{ID: id[:], User: u.Key, Wrapped: wrapped, Created: v.now()}); err != nil {
		return nil, err
	}
	return fresh, tx.Users().Use(u.Key, u.DEK, id[:], profile)
}

// resealProfile leaves one that does not open as it is: what shows the damage must stay.
func (v *Vault) resealProfile(tx Tx, u UserRow, fresh *seal.DEK) ([]byte, error) {
	id, err := seal.BlobDEK(u.ProfileCT)
	if err != nil {
		return u.ProfileCT, nil
	}
	old, err := v.dataKeyByID(tx, u.Key, id[:])
	if err != nil {
		return u.ProfileCT, unlessDamaged(err)
	}
	plain, err := old.Open(v.userPlace(u), u.ProfileCT)
	if err != nil {
		return u.ProfileCT, nil
	}
	return fresh.Seal(v.userPlace(u), plain)
}
