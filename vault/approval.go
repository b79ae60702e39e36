package vault

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Write is what a call would do, as it will run.
type Write struct {
	Tool, Title string
	Destroy     bool
	Arguments   json.RawMessage
	Digest      []byte   // SHA-256 of the arguments' RFC 8785 form
	Changes     []Change // of an update: what was and what would be; nil where nobody looked, empty where nothing would change
}

// Change is one field of an update.
type Change struct{ Field, Was, Becomes string }

// ApproveFor is how long a yes to a write lasts.
type ApproveFor string

// The lengths of a yes. All but once let further writes of the same agent, tool
// and account run without a question; a tool that destroys is always asked for.
const (
	ApproveOnce  ApproveFor = "once" // also ""
	ApproveHour  ApproveFor = "hour"
	ApproveToday ApproveFor = "today" // until midnight, local time of this process
)

// ApprovalState is how far the approval of a write is.
type ApprovalState string

// The states of an approval.
const (
	ApprovalAsked    ApprovalState = "asked"
	ApprovalApproved ApprovalState = "approved"
	ApprovalRan      ApprovalState = "ran"
	ApprovalDeclined ApprovalState = "declined"
	ApprovalExpired  ApprovalState = "expired"
)

// Approval is a person's word on one write of one agent. Its arguments lie
// sealed under that person's key, and go with them.
type Approval struct {
	ID    string // "ap_…"
	Owner Caller
	Agent Agent
	Write
	Account              string // grant id, "" until it is connected
	State                ApprovalState
	Asked, Approved, Ran time.Time
	Until                time.Time // may be answered, and once approved may run, until then
}

// Approval answers a write for its owner's page; another person's is ErrNotFound like an unknown one.
func (v *Vault) Approval(ctx context.Context, owner Caller, id string) (a Approval, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		stored, err := v.approvalOf(tx, owner, id)
		a = stored.Approval
		return err
	})
	return a, err
}

// Approved answers the id of what lets exactly this call run now, for
// Request.Approval: an approved, unspent write with these arguments on the
// account that r picks, else a standing approval; "" when there is none. What
// the call lacks besides is a *ConsentError, as of Check.
func (v *Vault) Approved(ctx context.Context, r Request, w Write) (id string, err error) {
	p, err := v.pick(ctx, r)
	if err != nil {
		return "", err
	}
	err = v.store.View(ctx, func(tx Tx) error {
		if id, err = v.approvedCall(tx, r.Agent, w, p.row); err != nil || id != "" || w.Destroy {
			return err
		}
		s, err := v.standing(tx, p.row.User, r.Agent, w.Tool, p.row.ID)
		id = s.ID
		return unless(ErrNotFound, err)
	})
	return id, degraded(err)
}

// approvedCall is the approved write of these arguments that may run on a grant now, "" when there is none.
func (v *Vault) approvedCall(tx Tx, agent Agent, w Write, g GrantRow) (string, error) {
	_, id, err := v.getRecord(tx, recApproved, v.approvedHandle(g, agent, w))
	if err != nil {
		return "", unless(ErrNotFound, err)
	}
	a, err := v.approval(tx, string(id))
	if err != nil || a.State != ApprovalApproved {
		return "", unless(ErrNotFound, err)
	}
	return a.ID, nil
}

// TakeApproved answers the write that a call's `approval` argument names, to be
// run as it is stored. Nothing is spent yet. Errors: ErrNotFound (unknown,
// another person's, agent's or tool's), *RanError, ErrGone (declined, expired), ErrStale (not answered yet).
func (v *Vault) TakeApproved(ctx context.Context, owner Caller, agent Agent, tool, id string) (Approval, error) {
	a, err := v.Approval(ctx, owner, id)
	switch {
	case err != nil:
		return Approval{}, err
	case v.agentKey(a.Agent) != v.agentKey(agent) || a.Tool != tool:
		return Approval{}, ErrNotFound
	case a.State == ApprovalRan:
		return Approval{}, &RanError{At: a.Ran}
	case a.State == ApprovalAsked:
		return Approval{}, ErrStale
	case a.State != ApprovalApproved:
		return Approval{}, ErrGone
	}
	return a, nil
}

// Withdraw voids an approved write that has not run, because what its person saw
// on the page holds no more; what stands for a while is no such write. Errors: ErrNotFound, *RanError.
func (v *Vault) Withdraw(ctx context.Context, owner Caller, id string) error {
	return v.store.Update(ctx, func(tx Tx) error {
		a, err := v.approvalOf(tx, owner, id)
		switch {
		case err != nil:
			return err
		case a.State == ApprovalRan:
			return &RanError{At: a.Ran}
		case a.State != ApprovalApproved:
			return nil
		}
		a.State = ApprovalDeclined
		e := v.approvalEntry("approval.ended", a)
		e.Reason = "changed"
		return errors.Join(v.putApproval(tx, v.Pseudonym(owner), a), v.append(tx, e))
	})
}

// ApproveInClient is the owner's yes to a write in a dialog of their client
// (stdio). It answers only a ticket that asks for nothing else: ErrGone for any other.
func (v *Vault) ApproveInClient(ctx context.Context, p Person, id string, f ApproveFor) error {
	err := v.store.Update(ctx, func(tx Tx) error {
		a, err := v.approvalOf(tx, p.Caller, id)
		if err != nil {
			return err
		}
		t, err := v.answerable(tx, v.handleOf(a.Ticket), p)
		if err != nil {
			return err
		}
		if t.Kind != KindApprove {
			return ErrGone
		}
		return v.grantAccess(tx, &t, t.Options[0], terms{Approve: f})
	})
	v.bell.ring()
	return err
}

// DeclineInClient is the owner's no in a dialog of their client.
func (v *Vault) DeclineInClient(ctx context.Context, p Person, id string) error {
	var held *owed
	err := v.store.Update(ctx, func(tx Tx) error {
		a, err := v.approvalOf(tx, p.Caller, id)
		if err != nil {
			return err
		}
		t, err := v.answerable(tx, v.handleOf(a.Ticket), p)
		if err != nil {
			return err
		}
		held, err = v.declined(tx, &t)
		return err
	})
	v.bell.ring()
	v.giveUp(ctx, err, held)
	return err
}
