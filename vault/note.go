package vault

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	notesEvery = time.Minute      // between two entries of the same
	notesTick  = 10 * time.Second // how often what was counted is looked at
	notesKept  = 500              // that are told apart; more are counted by kind and reason alone
)

// notebook counts what was refused, so that who repeats it cannot fill the disk.
type notebook struct {
	mu   sync.Mutex
	seen map[noteKey]*noted
}

// noteKey is what makes two entries the same.
type noteKey struct {
	kind, reason              string
	caller                    Caller
	issuer, agent             string
	connection, account, tool string
}

type noted struct {
	entry   Entry
	at      time.Time // of the last entry
	pending int64     // times since
}

// Note writes an entry of something that others can cause as often as they like:
// a token that is no good, a looping agent. The first is written at once; what
// is the same (kind, reason, caller, agent, connection, account and tool) is counted
// after it and written once a minute, the last of it when the vault closes.
func (v *Vault) Note(ctx context.Context, e Entry) error {
	e, due := v.book.count(e, v.cfg.Now())
	if !due {
		return nil
	}
	return v.writeNote(ctx, e)
}

func (n *notebook) count(e Entry, now time.Time) (Entry, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[noteKey]*noted{}
	}
	x := n.seen[keyOf(e)]
	if x == nil && len(n.seen) >= notesKept {
		e = Entry{Kind: e.Kind, Result: e.Result, Reason: e.Reason}
		x = n.seen[keyOf(e)]
	}
	if x == nil {
		x = &noted{}
		n.seen[keyOf(e)] = x
	}
	x.entry = e
	x.pending++
	if !x.due(now) {
		return e, false
	}
	return x.take(now), true
}

func keyOf(e Entry) noteKey {
	return noteKey{
		kind: e.Kind, reason: e.Reason, caller: e.Caller, issuer: e.Agent.Issuer, agent: e.Agent.ID,
		connection: e.Connection, account: e.Account, tool: e.Tool,
	}
}

func (x *noted) due(now time.Time) bool {
	since := now.Sub(x.at)
	return since >= notesEvery || since < 0
}

func (x *noted) take(now time.Time) Entry {
	e := x.entry
	if x.pending > 1 {
		e.Detail.Count = x.pending
	}
	x.at, x.pending = now, 0
	return e
}

// ready are the entries of what was counted and is due, or of all at the end. What has not happened for a minute is forgotten.
func (n *notebook) ready(now time.Time, all bool) (out []Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, x := range n.seen {
		switch {
		case x.pending > 0 && (all || x.due(now)):
			out = append(out, x.take(now))
		case x.pending == 0 && x.due(now):
			delete(n.seen, key)
		}
	}
	return out
}

// missed counts an entry again that was not written.
func (n *notebook) missed(e Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if x := n.seen[keyOf(e)]; x != nil {
		x.pending += max(e.Detail.Count, 1)
	}
}

func (v *Vault) writeNote(ctx context.Context, e Entry) error {
	err := v.Audit(context.WithoutCancel(ctx), e)
	if err != nil {
		v.book.missed(e)
	}
	return err
}

func (v *Vault) writeNotes(ctx context.Context, all bool) error {
	var errs []error
	for _, e := range v.book.ready(v.cfg.Now(), all) {
		errs = append(errs, v.writeNote(ctx, e))
	}
	return errors.Join(errs...)
}

func (v *Vault) writeNotesOften(ctx context.Context) {
	every(ctx, notesTick, func(ctx context.Context) {
		if err := v.writeNotes(ctx, false); err != nil && ctx.Err() == nil {
			v.log.Warn("writing to the audit what was counted", "error", err)
		}
	})
}

// noteRefused notes an exchange that gave no token.
func (v *Vault) noteRefused(ctx context.Context, r Request, err error) {
	if err == nil {
		return
	}
	e := Entry{Kind: "token.refused", Caller: r.Caller, Agent: r.Agent, Tool: r.Tool, Result: "refused", Detail: Detail{Call: r.Call, Exchange: r.Exchanged}}
	var lack *ConsentError
	var short *ShortLivedError
	switch {
	case errors.As(err, &lack):
		e.Reason = string(lack.Reason)
	case errors.As(err, &short):
		e.Reason = "short_lived"
	default:
		return
	}
	if lack != nil && len(lack.Options) == 1 {
		o := lack.Options[0]
		e.Connection, e.Account, e.Scopes = o.Connection, o.Grant, o.Missing
		if lack.Reason == CannotNarrow {
			e.Scopes = lack.Excess
		}
	}
	if err := v.Note(ctx, e); err != nil {
		v.log.Error("writing the audit entry of a refusal", "error", err)
	}
}

// noteUnasked notes a ticket that was not opened, for a limit or a decline.
func (v *Vault) noteUnasked(ctx context.Context, r TicketRequest, err error) {
	e := Entry{Kind: "ticket.refused", Caller: r.Owner.Caller, Agent: r.Agent, Tool: r.Tool, Result: "refused"}
	var limit *LimitError
	var declined *BackOffError
	switch {
	case errors.As(err, &limit):
		e.Reason = limit.What
	case errors.As(err, &declined):
		e.Reason, e.Connection = "declined_lately", declined.Connection
	default:
		return
	}
	if err := v.Note(ctx, e); err != nil {
		v.log.Error("writing the audit entry of a refusal", "error", err)
	}
}
