package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

const (
	tendEvery    = 5 * time.Minute
	inspectEvery = 7 * 24 * time.Hour

	settingInspected = "inspected" // when, as 8 bytes of Unix milliseconds
)

// Tended is a Store that wants care while it is in use.
type Tended interface {
	// Tend is for often: it frees on disk what was deleted.
	Tend(ctx context.Context) error
	// Inspect is for seldom: it reads everything, and answers an error where that is damaged.
	Inspect(ctx context.Context) error
}

// tend cares for the store. Each week one process inspects it for all.
func (v *Vault) tend(ctx context.Context) {
	s, ok := v.cfg.Store.(Tended)
	if !ok {
		return
	}
	every(ctx, tendEvery, func(ctx context.Context) {
		if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("tending the store", "error", err)
		}
		mine, err := v.takeInspection(ctx)
		if err == nil && mine {
			err = s.Inspect(ctx)
		}
		if err != nil && ctx.Err() == nil {
			v.log.Error("the store did not pass its weekly inspection", "error", err)
		}
	})
}

// takeInspection says whether it is this process's turn, and that nobody else's is for a week.
// A new vault waits for its first week: its start has looked at the file.
func (v *Vault) takeInspection(ctx context.Context) (mine bool, err error) {
	var last int64
	read := func(tx Tx) error {
		b, err := tx.Vault().Setting(settingInspected)
		if err == nil && len(b) == 8 {
			last = int64(binary.BigEndian.Uint64(b))
		}
		return unless(ErrNotFound, err)
	}
	due := func() bool { return v.now()-last >= inspectEvery.Milliseconds() }
	if err := v.store.View(ctx, read); err != nil || !due() {
		return false, err
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		mine = false
		if err := read(tx); err != nil || !due() {
			return err
		}
		mine = last != 0
		return tx.Vault().SetSetting(settingInspected, binary.BigEndian.AppendUint64(nil, uint64(v.now())))
	})
	return mine, errors.Join(err, ctx.Err())
}
