package vault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	alternatesEvery = time.Hour
	alternatesBatch = 100
)

// EraseAlternates takes refresh tokens out of the store that were kept beside
// their successors for 24 hours.
func (v *Vault) EraseAlternates(ctx context.Context) error {
	for {
		n, err := v.eraseSome(ctx)
		if err != nil {
			return fmt.Errorf("erasing alternates: %w", err)
		}
		if n < alternatesBatch {
			return nil
		}
	}
}

func (v *Vault) eraseSome(ctx context.Context) (n int, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		rows, err := tx.Upkeep().Alternates(v.now(), alternatesBatch)
		if err != nil {
			return err
		}
		n = len(rows)
		for _, g := range rows {
			gen := g.Gen
			g.AltCT, g.AltUntil = nil, 0
			if err := tx.Grants().Swap(g, gen); err != nil && !errors.Is(err, ErrConflict) {
				return err
			}
		}
		return nil
	})
	return n, err
}

func (v *Vault) eraseAlternatesOften(ctx context.Context) {
	every(ctx, alternatesEvery, func(ctx context.Context) {
		if err := v.EraseAlternates(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("erasing alternates", "error", err)
		}
	})
}
