package consent

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

const (
	kindTries = "code-tries" // by the name of a page: the tries of its last triesEvery, oldest first

	triesEvery = 10 * time.Minute
	triesOfOne = 5  // wrong codes within triesEvery from one place
	triesOfAll = 50 // and from all together, of 20^8 codes
)

// errTries says that no code is looked at now.
var errTries = errors.New("too many wrong codes")

// tries bounds how many wrong codes one page looks at: few from one place, some
// more from all. They are counted in the records, so that all processes of a
// vault count together, and each before it is made, so that many at the same time are no way around.
type tries struct {
	records Records
	page    string
	now     func() time.Time
}

type try struct {
	Place string `json:"place"`
	At    int64  `json:"at"` // Unix milliseconds
}

// take counts a try from a place. Its error is errTries when there may be none before until.
func (t *tries) take(ctx context.Context, place string) (until time.Time, err error) {
	err = t.change(ctx, func(made []try) ([]try, error) {
		here := slices.DeleteFunc(slices.Clone(made), func(m try) bool { return m.Place != place })
		switch {
		case len(here) >= triesOfOne:
			until = time.UnixMilli(here[0].At).Add(triesEvery)
			return nil, errTries
		case len(made) >= triesOfAll:
			until = time.UnixMilli(made[0].At).Add(triesEvery)
			return nil, errTries
		}
		return append(made, try{Place: place, At: t.now().UnixMilli()}), nil
	})
	return until, err
}

// giveBack forgets a try from a place: its code was right.
func (t *tries) giveBack(ctx context.Context, place string) error {
	return t.change(ctx, func(made []try) ([]try, error) {
		if i := slices.IndexFunc(made, func(m try) bool { return m.Place == place }); i >= 0 {
			made = slices.Delete(made, i, i+1)
		}
		return made, nil
	})
}

// change replaces the tries that still count.
func (t *tries) change(ctx context.Context, fn func(made []try) ([]try, error)) error {
	return t.records.Change(ctx, kindTries, t.page, func(old []byte) ([]byte, time.Duration, error) {
		var made []try
		if old != nil {
			if err := json.Unmarshal(old, &made); err != nil {
				return nil, 0, err
			}
		}
		since := t.now().Add(-triesEvery).UnixMilli()
		made, err := fn(slices.DeleteFunc(made, func(m try) bool { return m.At <= since }))
		if err != nil {
			return nil, 0, err
		}
		value, err := json.Marshal(made)
		return value, triesEvery, err
	})
}
