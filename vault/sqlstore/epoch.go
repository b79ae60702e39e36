package sqlstore

import (
	"math/rand/v2"
	"slices"
)

const (
	// epochStep bounds how far the epoch moves. By how much is drawn: a server that comes back
	// without its last transactions does not count to the same numbers again.
	epochStep = 1 << 20
	// epochsKept is how far back it is known whose rows changed: some 16,000 transactions.
	epochsKept = 1 << 14 * epochStep / 2
	// pruneEvery is how many of them are dropped at once, on average.
	pruneEvery = 256
	// changesMost is how many people one transaction notes by name; of more it notes that everybody's changed.
	changesMost = 64
	// everybody is no person: the key of the vault's own row.
	everybody = ""
)

const (
	queryEpoch = `SELECT n FROM epoch WHERE id = 1`

	queryNoteChange = `INSERT INTO changes (epoch, user_key, before) SELECT n + $1, $2, n FROM epoch WHERE id = 1`

	queryNextEpoch = `UPDATE epoch SET n = n + $1 WHERE id = 1`

	queryPruneChanges = `DELETE FROM changes WHERE epoch < (SELECT n - $1 FROM epoch WHERE id = 1)`

	queryChanges = `SELECT epoch, user_key, before FROM changes WHERE epoch > $1 ORDER BY epoch, user_key`
)

func epochQueries() []string {
	return []string{queryEpoch, queryNoteChange, queryNextEpoch, queryPruneChanges, queryChanges}
}

// changed notes that rows of user's changed which a release must not overtake: the
// commit moves the epoch, and tells other processes.
func (t *tx) changed(user string) {
	t.news = true
	switch {
	case slices.Contains(t.changes, user) || slices.Contains(t.changes, everybody):
	case user == everybody || len(t.changes) == changesMost:
		t.changes = []string{everybody}
	default:
		t.changes = append(t.changes, user)
	}
}

// moveEpoch is the last that a transaction does.
func (t *tx) moveEpoch() error {
	if len(t.changes) == 0 {
		return nil
	}
	step := 1 + rand.Int64N(epochStep) //nolint:gosec // no secret
	for _, user := range t.changes {
		if _, err := t.exec(queryNoteChange, step, user); err != nil {
			return err
		}
	}
	if _, err := t.exec(queryNextEpoch, step); err != nil {
		return err
	}
	if rand.IntN(pruneEvery) > 0 { //nolint:gosec // no secret
		return nil
	}
	_, err := t.exec(queryPruneChanges, epochsKept)
	return err
}

func (r vaultRows) Epoch() (int64, error) {
	return one(r.tx, func(s scanner) (n int64, err error) {
		err = s.Scan(&n)
		return n, err
	}, "reading epoch", queryEpoch)
}

type changeRow struct {
	epoch  int64
	user   string
	before int64
}

// Changed follows the epochs from one to the next: where since is not the first of
// them, or the last is not the one in force, not all changes are known.
func (r vaultRows) Changed(since int64) (users []string, all bool, err error) {
	epoch, err := r.Epoch()
	if err != nil || epoch == since {
		return nil, false, err
	}
	rows, err := r.changesAfter(since)
	if err != nil {
		return nil, false, err
	}
	at := since
	for _, c := range rows {
		if c.user == everybody || c.before != at && c.epoch != at {
			return nil, true, nil
		}
		at = c.epoch
		users = append(users, c.user)
	}
	if at != epoch {
		return nil, true, nil
	}
	return users, false, nil
}

func (r vaultRows) changesAfter(since int64) ([]changeRow, error) {
	return all(r.tx, func(s scanner) (c changeRow, err error) {
		err = s.Scan(&c.epoch, &c.user, &c.before)
		return c, err
	}, "reading changes", queryChanges, since)
}
