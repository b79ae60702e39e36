package vault

import (
	"context"
	"fmt"
)

// AllAccess is everybody's access: the operator's view, never an agent's.
func (v *Vault) AllAccess(ctx context.Context) ([]Access, error) {
	return ofUsers(ctx, v, func(tx Tx, row UserRow) ([]Access, error) {
		u, _, err := v.user(tx, row)
		if err != nil {
			return nil, err
		}
		all, err := v.accessOf(tx, row.Key)
		for i := range all {
			all[i].Owner = u.Person
		}
		return all, err
	})
}

// RevokeAnyAccess ends one agent's permission by its id alone: the operator's way. ErrNotFound when there is none.
func (v *Vault) RevokeAnyAccess(ctx context.Context, id string) error {
	defer v.bell.ring()
	return v.store.Update(ctx, func(tx Tx) error {
		r, err := tx.Access().Find(id)
		if err != nil {
			return fmt.Errorf("looking up access: %w", err)
		}
		row, err := tx.Users().Get(r.User)
		if err != nil {
			return err
		}
		u, _, err := v.user(tx, row)
		if err != nil {
			return err
		}
		return v.endAccess(tx, u.Person.Caller, r)
	})
}
