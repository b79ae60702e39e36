package sqlstore

import "github.com/grantry/grantry/vault"

type upkeepRows struct{ *tx }

const (
	queryDueGrants = `SELECT ` + grantColumns + ` FROM grants WHERE state = 'active' AND access_exp > 0 AND access_exp <= $1
		AND refresh_ct IS NOT NULL AND used >= $2 AND used >= refreshed AND next_try <= $3 ORDER BY access_exp, id LIMIT $4`

	queryEndedGrants = `SELECT ` + grantColumns + ` FROM grants WHERE state = $1 AND updated < $2 ORDER BY updated, id LIMIT $3`

	queryIdleGrants = `SELECT ` + grantColumns + ` FROM grants WHERE state = 'active' AND used < $1 AND created < $2 ORDER BY used, id LIMIT $3`

	queryAlternates = `SELECT ` + grantColumns + ` FROM grants WHERE alt_ct IS NOT NULL AND alt_until <= $1 ORDER BY alt_until, id LIMIT $2`

	queryDeleteGrant = `DELETE FROM grants WHERE id = $1 AND gen = $2`
)

func upkeepQueries() []string {
	return []string{queryDueGrants, queryEndedGrants, queryIdleGrants, queryAlternates, queryDeleteGrant}
}

func (r upkeepRows) Due(before, used, now int64, limit int) ([]vault.GrantRow, error) {
	return all(r.tx, scanGrant, "listing due grants", queryDueGrants, before, used, now, limit)
}

func (r upkeepRows) Ended(state string, before int64, limit int) ([]vault.GrantRow, error) {
	return all(r.tx, scanGrant, "listing ended grants", queryEndedGrants, state, before, limit)
}

func (r upkeepRows) Idle(before int64, limit int) ([]vault.GrantRow, error) {
	return all(r.tx, scanGrant, "listing idle grants", queryIdleGrants, before, before, limit)
}

func (r upkeepRows) Alternates(until int64, limit int) ([]vault.GrantRow, error) {
	return all(r.tx, scanGrant, "listing alternates", queryAlternates, until, limit)
}

func (r upkeepRows) Delete(id string, gen int64) error {
	g, err := grantRows(r).Get(id)
	if err != nil {
		return conflict(err)
	}
	r.changed(g.User)
	return r.execOne(vault.ErrConflict, "deleting grant", queryDeleteGrant, id, gen)
}
