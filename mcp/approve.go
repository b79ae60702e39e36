package mcp

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
)

// request is what the call would ask the vault for.
func (c *call) request() vault.Request {
	return vault.Request{
		Caller: c.person.Caller, Agent: c.agent, Needs: c.entry.needs, Account: c.account,
		Tool: c.entry.tool.Name, Call: c.source.call,
	}
}

// write is the call as its person is asked about it, and as it runs after their yes.
func (c *call) write() *vault.Write {
	return &vault.Write{
		Tool: c.entry.tool.Name, Title: c.entry.tool.Title, Destroy: c.entry.kind == tools.Destroy,
		Arguments: c.args, Digest: c.digest, Changes: c.changes,
	}
}

// permitted is nil when the call may run now: for a tool that asks, when its
// person has said yes to exactly this call, or for a while to the tool. Else it
// says what the call lacks, as an exchange would.
func (s *Server) permitted(ctx context.Context, c *call) error {
	if c.rule != ruleAsk || c.named {
		return nil
	}
	account, err := c.entry.vendor.Check(c.args)
	if err != nil {
		return err
	}
	if c.account = c.source.account; c.account == "" {
		c.account = account
	}
	id, err := c.vault.Approved(ctx, c.request(), *c.write())
	if err != nil {
		return err
	}
	if id != "" {
		c.source.approval = id
		return c.recall(ctx)
	}
	if err := s.spent(ctx, c); err != nil {
		return err
	}
	if err := c.preview(ctx); err != nil {
		return err
	}
	return &vault.ConsentError{Reason: vault.ApprovalRequired}
}

// spent is a *vault.RanError when what was asked for in this call has run: a
// request state that comes twice, or one of two equal calls that waited.
func (s *Server) spent(ctx context.Context, c *call) error {
	if c.asked == "" && c.state.Ticket != "" {
		if t, err := c.vault.TicketByID(ctx, c.person.Caller, c.state.Ticket); err == nil {
			c.asked = t.Approval
		}
	}
	if c.asked == "" {
		return nil
	}
	a, err := c.vault.Approval(ctx, c.person.Caller, c.asked)
	if err == nil && a.State == vault.ApprovalRan {
		return &vault.RanError{At: a.Ran}
	}
	return nil
}

// recall reads what its person saw of a call that they approved. Nobody saw any of one that runs under a standing approval.
func (c *call) recall(ctx context.Context) error {
	a, err := c.vault.Approval(ctx, c.person.Caller, c.source.approval)
	c.changes = a.Changes
	return unless(vault.ErrNotFound, err)
}

// preview reads what an update would change, for the person who is asked.
func (c *call) preview(ctx context.Context) (err error) {
	c.changes, err = c.look(ctx)
	return err
}

// look is what an update would change now; nil where the tool does not say.
func (c *call) look(ctx context.Context) (out []vault.Change, err error) {
	c.source.looks = true
	defer func() { c.source.looks = false }()
	changes, err := c.entry.vendor.Preview(ctx, &c.source, c.args)
	if err != nil || changes == nil {
		return nil, err
	}
	out = []vault.Change{}
	for _, x := range changes {
		out = append(out, vault.Change(x))
	}
	return out, nil
}

var errChanged = errors.New("what a call would change is not any more what its person saw")

// asSeen is errChanged when an approved update would overwrite something that its
// person has not seen: what is there now is compared with what stood on the page. The approval is then void.
func (c *call) asSeen(ctx context.Context) error {
	if c.source.approval == "" || c.changes == nil {
		return nil
	}
	now, err := c.look(ctx)
	if err != nil || slices.Equal(now, c.changes) {
		return err
	}
	if err := c.vault.Withdraw(ctx, c.person.Caller, c.source.approval); err != nil {
		return err
	}
	return errChanged
}

// approved reads the argument `approval`. The call then is the one that was
// stored, with its arguments and its account; others that came with it must be
// the same, else nothing runs (R79).
func (s *Server) approved(ctx context.Context, c *call) (reply, bool) {
	if !c.entry.writes() {
		return reply{}, false
	}
	id, rest, err := c.entry.vendor.Approval(c.args)
	if err != nil {
		c.err = err
		return reply{result: s.failure(ctx, c, err)}, true
	}
	if id == "" {
		return reply{}, false
	}
	a, err := c.vault.TakeApproved(ctx, c.person.Caller, c.agent, c.entry.tool.Name, id)
	asked := errors.Is(err, vault.ErrStale)
	if asked { // it waits for its person like a first call
		a, err = c.vault.Approval(ctx, c.person.Caller, id)
	}
	if err == nil && rest != nil {
		err = sameArguments(rest, a.Digest)
	}
	if err != nil {
		return s.notApproved(ctx, c, err), true
	}
	c.args, c.digest, c.changes = a.Arguments, a.Digest, a.Changes
	c.source.account, c.named = a.Account, !asked
	if c.named {
		c.source.approval = a.ID
	}
	return reply{}, false
}

var errOtherArguments = errors.New("arguments are not those that were approved")

func sameArguments(args []byte, approved []byte) error {
	digest, err := digestOf(args)
	if err != nil || !bytes.Equal(digest, approved) {
		return errOtherArguments
	}
	return nil
}

// notApproved refuses an `approval` that lets nothing run.
func (s *Server) notApproved(ctx context.Context, c *call, err error) reply {
	tool := c.entry.tool.Name
	switch {
	case errors.Is(err, errOtherArguments):
		c.reason = "approval_arguments"
		return reply{result: failed(wordsOtherArguments(tool))}
	case errors.Is(err, vault.ErrNotFound):
		c.reason = "approval_unknown"
		return reply{result: failed(wordsNoApproval(tool))}
	case errors.Is(err, vault.ErrGone):
		c.reason = "approval_over"
		return reply{result: failed(wordsApprovalOver(tool))}
	}
	c.err = err
	return reply{result: s.failure(ctx, c, err)}
}

// clock is a time for people: "12:03 UTC", with the date where it is not today's.
func clock(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04 UTC")
	}
	return at.Format("15:04 UTC on 2 January")
}

// unless is err, and nil where it is none.
func unless(none, err error) error {
	if errors.Is(err, none) {
		return nil
	}
	return err
}
