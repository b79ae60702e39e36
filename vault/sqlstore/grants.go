package sqlstore

import (
	"errors"

	"github.com/grantry/grantry/vault"
)

type grantRows struct{ *tx }

const (
	grantColumns = `id, user_key, connection, destination, account_key, state, gen, scopes, is_default, granted_by,
		profile_ct, access_ct, access_exp, refresh_ct, refresh_fp, alt_ct, alt_until,
		lease_owner, lease_seq, lease_until, attempt_at, attempt_phase, next_try, fail_count, last_error,
		audit_gap, unverified, created, updated, refreshed, used`

	queryGrant = `SELECT ` + grantColumns + ` FROM grants WHERE id = $1`

	queryGrants = `SELECT ` + grantColumns + ` FROM grants ORDER BY created, id`

	queryGrantsAt = `SELECT ` + grantColumns + ` FROM grants WHERE connection = $1 AND account_key = $2 ORDER BY created, id`

	queryGrantsOf = `SELECT ` + grantColumns + ` FROM grants WHERE user_key = $1 ORDER BY created, id`

	queryInsertGrant = `INSERT INTO grants (` + grantColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
			$23, $24, $25, $26, $27, $28, $29, $30, $31)
		ON CONFLICT DO NOTHING`

	// querySwapGrant leaves the lease alone, and what a grant is from its start.
	querySwapGrant = `UPDATE grants SET destination = $1, state = $2, gen = $3, scopes = $4, is_default = $5, granted_by = $6,
			profile_ct = $7, access_ct = $8, access_exp = $9, refresh_ct = $10, refresh_fp = $11, alt_ct = $12, alt_until = $13,
			audit_gap = $14, unverified = $15, created = $16, updated = $17, refreshed = $18, used = $19
		WHERE id = $20 AND user_key = $21 AND connection = $22 AND account_key = $23 AND gen = $24`

	queryLeaseGrant = `UPDATE grants SET lease_owner = $1, lease_seq = $2, lease_until = $3, attempt_at = $4, attempt_phase = $5,
			next_try = $6, fail_count = $7, last_error = $8
		WHERE id = $9 AND gen = $10 AND lease_seq = $11`
)

func grantQueries() []string {
	return []string{queryGrant, queryGrants, queryGrantsAt, queryGrantsOf, queryInsertGrant, querySwapGrant, queryLeaseGrant}
}

func scanGrant(s scanner) (g vault.GrantRow, err error) {
	err = s.Scan(&g.ID, &g.User, &g.Connection, &g.Destination, &g.AccountKey, &g.State, &g.Gen, &g.Scopes, &g.IsDefault, &g.GrantedBy,
		&g.ProfileCT, &g.AccessCT, &g.AccessExp, &g.RefreshCT, &g.RefreshFP, &g.AltCT, &g.AltUntil,
		&g.LeaseOwner, &g.LeaseSeq, &g.LeaseUntil, &g.AttemptAt, &g.AttemptPhase, &g.NextTry, &g.FailCount, &g.LastError,
		&g.AuditGap, &g.Unverified, &g.Created, &g.Updated, &g.Refreshed, &g.Used)
	return g, err
}

func (r grantRows) Get(id string) (vault.GrantRow, error) {
	return one(r.tx, scanGrant, "reading grant", queryGrant, id)
}

// List answers an error for a filter of another shape than the three.
func (r grantRows) List(f vault.GrantFilter) ([]vault.GrantRow, error) {
	switch {
	case f == vault.GrantFilter{}:
		return all(r.tx, scanGrant, "listing grants", queryGrants)
	case f == vault.GrantFilter{User: f.User}:
		return all(r.tx, scanGrant, "listing grants of a user", queryGrantsOf, f.User)
	case f.User == "" && f.Connection != "" && f.AccountKey != "":
		return all(r.tx, scanGrant, "listing grants of an account", queryGrantsAt, f.Connection, f.AccountKey)
	}
	return nil, errors.New("listing grants: no such filter")
}

func (r grantRows) Insert(g vault.GrantRow) error {
	r.changed(g.User)
	return r.execOne(vault.ErrConflict, "inserting grant", queryInsertGrant,
		g.ID, g.User, g.Connection, g.Destination, g.AccountKey, g.State, g.Gen, g.Scopes, integer(g.IsDefault), g.GrantedBy,
		g.ProfileCT, g.AccessCT, g.AccessExp, g.RefreshCT, g.RefreshFP, g.AltCT, g.AltUntil,
		g.LeaseOwner, g.LeaseSeq, g.LeaseUntil, g.AttemptAt, g.AttemptPhase, g.NextTry, g.FailCount, g.LastError,
		integer(g.AuditGap), integer(g.Unverified), g.Created, g.Updated, g.Refreshed, g.Used)
}

// Swap also answers vault.ErrConflict when g is of another user, connection or
// account than the row: these never change.
func (r grantRows) Swap(g vault.GrantRow, gen int64) error {
	r.changed(g.User)
	return r.execOne(vault.ErrConflict, "swapping grant", querySwapGrant,
		g.Destination, g.State, g.Gen, g.Scopes, integer(g.IsDefault), g.GrantedBy,
		g.ProfileCT, g.AccessCT, g.AccessExp, g.RefreshCT, g.RefreshFP, g.AltCT, g.AltUntil,
		integer(g.AuditGap), integer(g.Unverified), g.Created, g.Updated, g.Refreshed, g.Used,
		g.ID, g.User, g.Connection, g.AccountKey, gen)
}

func (r grantRows) Lease(id string, gen, seq int64, l vault.Lease) error {
	r.news = r.news || l.Owner == ""
	return r.execOne(vault.ErrConflict, "leasing grant", queryLeaseGrant,
		l.Owner, l.Seq, l.Until, l.AttemptAt, l.Phase, l.NextTry, l.FailCount, l.LastError, id, gen, seq)
}
