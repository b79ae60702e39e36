package vault

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	recApproval = "approval"
	recApproved = "approval.call" // (agent, tool, account, arguments) → id of the approved write

	// approvedFor is how long an approved call may be made.
	approvedFor = 5 * time.Minute
)

// storedApproval is the sealed form of an approval.
type storedApproval struct {
	Approval
	Ticket string `json:"ticket"`         // row id
	Call   string `json:"call,omitempty"` // keyed hash of the call that ran
}

// newApproval stores a write that a fresh ticket asks for.
func (v *Vault) newApproval(tx Tx, user string, t *Ticket, w Write) error {
	id, err := v.newID("ap_")
	if err != nil {
		return err
	}
	a := storedApproval{Ticket: t.ID, Approval: Approval{
		ID: id, Owner: t.Owner.Caller, Agent: t.Agent, Write: w,
		State: ApprovalAsked, Asked: t.Created, Until: t.Expires.Add(flowTTL),
	}}
	if len(t.Options) == 1 {
		a.Account = t.Options[0].Grant
	}
	t.Approval = id
	return errors.Join(v.putApproval(tx, user, a), v.append(tx, v.approvalEntry("approval.asked", a)))
}

// approval answers an approval as it stands now: one whose time is over is expired.
func (v *Vault) approval(tx Tx, id string) (a storedApproval, err error) {
	_, plain, err := v.getRecord(tx, recApproval, id)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(plain, &a); err != nil {
		return a, fmt.Errorf("decoding approval: %w", err)
	}
	if (a.State == ApprovalAsked || a.State == ApprovalApproved) && v.cfg.Now().After(a.Until) {
		a.State = ApprovalExpired
	}
	return a, nil
}

func (v *Vault) approvalOf(tx Tx, owner Caller, id string) (storedApproval, error) {
	a, err := v.approval(tx, id)
	if err == nil && a.Owner != owner {
		return storedApproval{}, ErrNotFound
	}
	return a, err
}

func (v *Vault) putApproval(tx Tx, user string, a storedApproval) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding approval: %w", err)
	}
	return v.putRecord(tx, recApproval, a.ID, user, plain, Millis(a.Asked.Add(v.cfg.TicketTTL+ticketKept)))
}

// approvedHandle names an approved call by all that it is bound to.
func (v *Vault) approvedHandle(g GrantRow, agent Agent, w Write) string {
	return v.index("approved", g.User, v.agentKey(agent), g.ID, w.Tool, hex.EncodeToString(w.Digest))
}

// approve is the owner's yes to the write of a ticket, on a grant.
func (v *Vault) approve(tx Tx, t Ticket, g GrantRow, f ApproveFor) error {
	a, err := v.approvalOf(tx, t.Owner.Caller, t.Approval)
	if err != nil {
		return err
	}
	if a.State != ApprovalAsked {
		return ErrGone
	}
	now := v.cfg.Now().UTC()
	a.State, a.Account, a.Approved, a.Until = ApprovalApproved, g.ID, now, now.Add(approvedFor)
	if err := v.putApproval(tx, g.User, a); err != nil {
		return err
	}
	if err := v.putRecord(tx, recApproved, v.approvedHandle(g, a.Agent, a.Write), g.User, []byte(a.ID), Millis(a.Until)); err != nil {
		return err
	}
	e := v.approvalEntry("approval.approved", a)
	if until := v.standsUntil(a.Write, f); !until.IsZero() {
		e.Reason = string(f)
		if err := v.putStanding(tx, g, a, until); err != nil {
			return err
		}
	}
	return v.append(tx, e)
}

// unapproved ends the write of a ticket that its owner said no to, or that ran out; nothing when it has none.
func (v *Vault) unapproved(tx Tx, t Ticket, state ApprovalState) error {
	if t.Approval == "" {
		return nil
	}
	a, err := v.approvalOf(tx, t.Owner.Caller, t.Approval)
	if err != nil || a.State != ApprovalAsked && a.State != ApprovalExpired {
		return unless(ErrNotFound, err)
	}
	a.State = state
	e := v.approvalEntry("approval.declined", a)
	if state == ApprovalExpired {
		e = v.approvalEntry("approval.expired", a)
	}
	return errors.Join(v.putApproval(tx, v.Pseudonym(a.Owner), a), v.append(tx, e))
}

// spendable proves that a write may run under r.Approval on what was picked, and
// answers what spends it: nil where nothing is to be spent. It writes nothing.
func (v *Vault) spendable(tx Tx, r Request, p *picked) (spend func() error, err error) {
	a, err := v.approvalOf(tx, r.Caller, r.Approval)
	if errors.Is(err, ErrNotFound) {
		return nil, v.stands(tx, r, p)
	}
	if err != nil {
		return nil, err
	}
	refused := v.lacks(ApprovalRequired, p, nil)
	switch {
	case v.agentKey(a.Agent) != v.agentKey(r.Agent) || a.Tool != r.Tool || a.Account != p.row.ID:
		return nil, refused
	case a.State == ApprovalRan && r.Call != "" && a.Call == v.callKey(r.Call):
		return nil, nil
	case a.State == ApprovalRan:
		refused.Err = &RanError{At: a.Ran}
		return nil, refused
	case a.State != ApprovalApproved:
		return nil, refused
	}
	a.State, a.Ran, a.Call = ApprovalRan, v.cfg.Now().UTC(), v.callKey(r.Call)
	e := v.approvalEntry("approval.ran", a)
	e.Detail.Call = r.Call
	return func() error { return errors.Join(v.putApproval(tx, p.row.User, a), v.append(tx, e)) }, nil
}

// approvalEntry is an audit entry of a write: of its arguments a keyed hash, the same as of the call's own entry.
func (v *Vault) approvalEntry(kind string, a storedApproval) Entry {
	mac := v.MAC("mcp/arguments/v1", append([]byte(v.Pseudonym(a.Owner)+"\x00"), a.Digest...))
	return Entry{
		Kind: kind, Caller: a.Owner, Agent: a.Agent, Tool: a.Tool, Account: a.Account,
		Detail: Detail{Approval: a.ID, Arguments: hex.EncodeToString(mac[:16]), ArgumentBytes: len(a.Arguments)},
	}
}

// endApprovals voids what was approved and did not run yet, and standing
// approvals, of the agents and accounts that match.
func (v *Vault) endApprovals(tx Tx, c Caller, match func(agent Agent, account string) bool) error {
	user := v.Pseudonym(c)
	recs, err := tx.Records().List(recApproved, user, v.now())
	if err != nil {
		return err
	}
	for _, rec := range recs {
		id, err := v.openRecord(tx, rec)
		if err != nil {
			return unlessDamaged(err)
		}
		a, err := v.approval(tx, string(id))
		if err != nil || a.State != ApprovalApproved || !match(a.Agent, a.Account) {
			continue
		}
		a.State = ApprovalDeclined
		if err := errors.Join(v.putApproval(tx, user, a), v.append(tx, v.approvalEntry("approval.ended", a))); err != nil {
			return err
		}
	}
	return v.endStandings(tx, c, func(s Standing) bool { return match(s.Agent, s.Account) })
}
