package sqlstore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault"
)

type accessRows struct{ *tx }

const (
	accessColumns = `id, user_key, agent, grant_id, scopes, expires, once, agent_ct, created, used`

	queryAccess = `SELECT ` + accessColumns + ` FROM access WHERE user_key = $1 AND agent = $2 AND grant_id = $3`

	queryHeld = `SELECT g.id, g.connection, g.destination, g.state, g.gen, g.scopes, g.is_default, g.profile_ct, g.access_ct, g.access_exp,
			g.refresh_ct, g.alt_ct, g.lease_owner, g.attempt_at, g.next_try, g.fail_count, g.audit_gap, g.unverified, g.created, g.updated, g.refreshed,
			coalesce(a.id, ''), coalesce(a.scopes, ''), coalesce(a.expires, 0), coalesce(a.once, ''), a.agent_ct, coalesce(a.created, 0), coalesce(a.used, 0)
		FROM grants g LEFT JOIN access a ON a.user_key = g.user_key AND a.agent = $1 AND a.grant_id = g.id
		WHERE g.user_key = $2`

	queryAccessOf = `SELECT ` + accessColumns + ` FROM access WHERE user_key = $1 ORDER BY created, id`

	queryAccessPairs = `SELECT DISTINCT user_key, agent FROM access WHERE (user_key, agent) > ($1, $2) ORDER BY user_key, agent LIMIT $3`

	queryFindAccess = `SELECT ` + accessColumns + ` FROM access WHERE id = $1`

	queryPutAccess = `INSERT INTO access (` + accessColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (user_key, agent, grant_id) DO UPDATE SET id = excluded.id, scopes = excluded.scopes, expires = excluded.expires,
			once = excluded.once, agent_ct = excluded.agent_ct, created = excluded.created, used = excluded.used`

	queryTouchAccess = `UPDATE access SET once = $1, used = $2 WHERE id = $3 AND once = $4`

	queryTouchGrant = `UPDATE grants SET used = $1 WHERE id = (SELECT grant_id FROM access WHERE id = $2)`

	queryDeleteAccess = `DELETE FROM access WHERE user_key = $1 AND id = $2`
)

func accessQueries() []string {
	return []string{queryAccess, queryHeld, queryAccessOf, queryAccessPairs, queryFindAccess, queryPutAccess, queryTouchAccess, queryTouchGrant, queryDeleteAccess}
}

func scanAccess(s scanner) (a vault.AccessRow, err error) {
	err = s.Scan(&a.ID, &a.User, &a.Agent, &a.Grant, &a.Scopes, &a.Expires, &a.Once, &a.AgentCT, &a.Created, &a.Used)
	return a, err
}

func (r accessRows) Get(user, agent, grant string) (vault.AccessRow, error) {
	return one(r.tx, scanAccess, "reading access", queryAccess, user, agent, grant)
}

func (r accessRows) List(user string) ([]vault.AccessRow, error) {
	return all(r.tx, scanAccess, "listing access", queryAccessOf, user)
}

func (r accessRows) Pairs(user, agent string, limit int) ([]vault.AccessRow, error) {
	scan := func(s scanner) (a vault.AccessRow, err error) {
		err = s.Scan(&a.User, &a.Agent)
		return a, err
	}
	return all(r.tx, scan, "listing who has access", queryAccessPairs, user, agent, limit)
}

func (r accessRows) Find(id string) (vault.AccessRow, error) {
	return one(r.tx, scanAccess, "finding access", queryFindAccess, id)
}

func (r accessRows) Put(a vault.AccessRow) error {
	r.changed(a.User)
	return r.execOne(vault.ErrConflict, "writing access", queryPutAccess,
		a.ID, a.User, a.Agent, a.Grant, a.Scopes, a.Expires, a.Once, a.AgentCT, a.Created, a.Used)
}

func (r accessRows) Touch(id, from, once string, used int64) error {
	if once != from {
		a, err := r.Find(id)
		if err != nil {
			return conflict(err)
		}
		r.changed(a.User)
	}
	if err := r.execOne(vault.ErrConflict, "touching access", queryTouchAccess, once, used, id, from); err != nil {
		return err
	}
	_, err := r.exec(queryTouchGrant, used, id)
	return err
}

func (r accessRows) Delete(user, id string) error {
	r.changed(user)
	return r.execOne(vault.ErrNotFound, "deleting access", queryDeleteAccess, user, id)
}

func (r accessRows) Held(user, agent string) ([]vault.HeldRow, error) {
	var held []vault.HeldRow
	err := r.each("listing grants with access", queryHeld, []any{agent, user}, func(s scanner) error {
		held = append(held, vault.HeldRow{})
		h := &held[len(held)-1]
		g, a := &h.Grant, &h.Access
		err := s.Scan(&g.ID, &g.Connection, &g.Destination, &g.State, &g.Gen, &g.Scopes, &g.IsDefault, &g.ProfileCT, &g.AccessCT, &g.AccessExp,
			&g.RefreshCT, &g.AltCT, &g.LeaseOwner, &g.AttemptAt, &g.NextTry, &g.FailCount, &g.AuditGap, &g.Unverified, &g.Created, &g.Updated, &g.Refreshed,
			&a.ID, &a.Scopes, &a.Expires, &a.Once, &a.AgentCT, &a.Created, &a.Used)
		if g.User = user; a.ID != "" {
			a.User, a.Agent, a.Grant = user, agent, g.ID
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(held, func(a, b vault.HeldRow) int {
		return cmp.Or(cmp.Compare(a.Grant.Created, b.Grant.Created), strings.Compare(a.Grant.ID, b.Grant.ID))
	})
	return held, nil
}
