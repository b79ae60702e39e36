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
	Changes     []Change // of an update: what was and what would be; nil where the tool does not say
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

// Standing lets an agent run a tool on an account without a question until its end.
type Standing struct {
	ID      string // "st_…"
	Agent   Agent
	Tool    string
	Account string // grant id
	Until   time.Time
}

// Approval answers a write for its owner's page; another person's is ErrNotFound like an unknown one.
func (v *Vault) Approval(ctx context.Context, owner Caller, id string) (Approval, error) {
	return Approval{}, errors.ErrUnsupported
}

// Approved answers the id of what lets exactly this call run now, for
// Request.Approval: an approved, unspent write with these arguments on the
// account that r picks, else a standing approval; "" when there is none. What
// the call lacks besides is a *ConsentError, as of Check.
func (v *Vault) Approved(ctx context.Context, r Request, w Write) (id string, err error) {
	return "", errors.ErrUnsupported
}

// TakeApproved answers the write that a call's `approval` argument names, to be
// run as it is stored. Nothing is spent yet. Errors: ErrNotFound (unknown,
// another person's, agent's or tool's), *RanError, ErrGone (declined, expired), ErrStale (not answered yet).
func (v *Vault) TakeApproved(ctx context.Context, owner Caller, agent Agent, tool, id string) (Approval, error) {
	return Approval{}, errors.ErrUnsupported
}

// ApproveInClient is the owner's yes to a write in a dialog of their client
// (stdio). It answers only a ticket that asks for nothing else: ErrGone for any other.
func (v *Vault) ApproveInClient(ctx context.Context, p Person, id string, f ApproveFor) error {
	return errors.ErrUnsupported
}

// DeclineInClient is the owner's no in a dialog of their client.
func (v *Vault) DeclineInClient(ctx context.Context, p Person, id string) error {
	return errors.ErrUnsupported
}

// StandingApprovals are the caller's standing approvals that have not ended.
func (v *Vault) StandingApprovals(ctx context.Context, c Caller) ([]Standing, error) {
	return nil, errors.ErrUnsupported
}

// EndStanding ends a standing approval; ErrNotFound for another person's, too.
func (v *Vault) EndStanding(ctx context.Context, c Caller, id string) error {
	return errors.ErrUnsupported
}
