package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const recStanding = "approval.standing"

// Standing lets an agent run a tool on an account without a question until its end.
type Standing struct {
	ID      string // "st_…"
	Agent   Agent
	Tool    string
	Account string // grant id
	Until   time.Time
}

// standsUntil is the end of a yes that lasts; the zero time for one that does not.
func (v *Vault) standsUntil(w Write, f ApproveFor) time.Time {
	now := v.cfg.Now()
	switch {
	case w.Destroy:
		return time.Time{}
	case f == ApproveHour:
		return now.Add(time.Hour)
	case f == ApproveToday:
		y, m, d := now.Local().Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, time.Local)
	}
	return time.Time{}
}

func (v *Vault) standingHandle(user string, agent Agent, tool, grant string) string {
	return v.index("standing", user, v.agentKey(agent), tool, grant)
}

// putStanding replaces the one of the same agent, tool and account, if it ends earlier.
func (v *Vault) putStanding(tx Tx, g GrantRow, a storedApproval, until time.Time) error {
	was, err := v.standing(tx, g.User, a.Agent, a.Tool, g.ID)
	if err == nil && was.Until.After(until) || unless(ErrNotFound, err) != nil {
		return unless(ErrNotFound, err)
	}
	s := Standing{Agent: a.Agent, Tool: a.Tool, Account: g.ID, Until: until.UTC()}
	if s.ID, err = v.newID("st_"); err != nil {
		return err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return v.putRecord(tx, recStanding, v.standingHandle(g.User, a.Agent, a.Tool, g.ID), g.User, plain, Millis(until))
}

func (v *Vault) standing(tx Tx, user string, agent Agent, tool, grant string) (Standing, error) {
	rec, err := tx.Records().Get(recStanding, handleHash(v.standingHandle(user, agent, tool, grant)), v.now())
	if err != nil {
		return Standing{}, err
	}
	return v.decodeStanding(tx, rec)
}

func (v *Vault) decodeStanding(tx Tx, rec Record) (s Standing, err error) {
	plain, err := v.openRecord(tx, rec)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("decoding standing approval: %w", err)
	}
	return s, nil
}

// stands says whether r.Approval is the standing approval of its agent, tool and account.
func (v *Vault) stands(tx Tx, r Request, p *picked) error {
	s, err := v.standing(tx, p.row.User, r.Agent, r.Tool, p.row.ID)
	if err == nil && s.ID == r.Approval {
		return nil
	}
	if unless(ErrNotFound, err) != nil {
		return err
	}
	return v.lacks(ApprovalRequired, p, nil)
}

// StandingApprovals are the caller's standing approvals that have not ended, the first to end first.
func (v *Vault) StandingApprovals(ctx context.Context, c Caller) (out []Standing, err error) {
	err = v.store.View(ctx, func(tx Tx) error { out, err = v.standings(tx, v.Pseudonym(c)); return err })
	return out, err
}

func (v *Vault) standings(tx Tx, user string) (out []Standing, err error) {
	recs, err := tx.Records().List(recStanding, user, v.now())
	for _, rec := range recs {
		if s, err := v.decodeStanding(tx, rec); err == nil {
			out = append(out, s)
		}
	}
	return out, err
}

// EndStanding ends a standing approval; ErrNotFound for another person's, too.
func (v *Vault) EndStanding(ctx context.Context, c Caller, id string) error {
	return v.store.Update(ctx, func(tx Tx) error {
		found := false
		err := v.endStandings(tx, c, func(s Standing) bool { found = found || s.ID == id; return s.ID == id })
		if err == nil && !found {
			return ErrNotFound
		}
		return err
	})
}

func (v *Vault) endStandings(tx Tx, c Caller, match func(Standing) bool) error {
	recs, err := tx.Records().List(recStanding, v.Pseudonym(c), v.now())
	if err != nil {
		return err
	}
	for _, rec := range recs {
		s, err := v.decodeStanding(tx, rec)
		if err != nil || !match(s) {
			continue
		}
		if _, err := tx.Records().Take(rec.Kind, rec.Hash, v.now()); err != nil {
			return err
		}
		e := Entry{Kind: "approval.ended", Caller: c, Agent: s.Agent, Tool: s.Tool, Account: s.Account, Reason: "standing", Detail: Detail{Approval: s.ID}}
		if err := v.append(tx, e); err != nil {
			return err
		}
	}
	return nil
}
