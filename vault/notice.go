package vault

import (
	"context"
	"time"
)

// NoticeKind says what a Notice is about.
type NoticeKind string

// The kinds of notices.
const (
	NoticeRequest    NoticeKind = "request"     // an agent needs something of a person
	NoticeGrantEnded NoticeKind = "grant_ended" // a grant died, and only a person can mend it
)

// Notice is something that a person should hear of without asking. It holds no token.
type Notice struct {
	Kind       NoticeKind
	Person     Person // whose request or account it is
	Connection string // "" where a request can be answered at several
	Account    string // label of the account that died
	Agent      Agent  // who asks; zero for a grant that died
	Reason     Reason
	Handle     string    // of the request's ticket
	Expires    time.Time // of the ticket
}

// noticeRequest tells of a new ticket that an agent's call led to.
func (v *Vault) noticeRequest(t Ticket) {
	if v.cfg.Notify == nil || t.Agent == (Agent{}) {
		return
	}
	n := Notice{Kind: NoticeRequest, Person: t.Owner, Agent: t.Agent, Reason: t.Reason, Handle: v.Handle(t), Expires: t.Expires}
	if len(t.Options) == 1 {
		n.Connection = t.Options[0].Connection
	}
	v.cfg.Notify(n)
}

// noticeEnded tells of a grant that died. It is for after the commit: what a
// transaction does may happen twice, or not at all.
func (v *Vault) noticeEnded(ctx context.Context, grant string) {
	if v.cfg.Notify == nil {
		return
	}
	err := v.store.View(ctx, func(tx Tx) error {
		row, err := tx.Grants().Get(grant)
		if err != nil {
			return err
		}
		reason := stateReason(GrantState(row.State))
		if reason == "" {
			return nil // mended meanwhile
		}
		a, err := v.withProfile(tx, row)
		if err == nil {
			v.cfg.Notify(Notice{
				Kind: NoticeGrantEnded, Person: a.profile.Owner, Connection: row.Connection, Account: a.profile.label(), Reason: reason,
			})
		}
		return err
	})
	if err != nil {
		v.log.Warn("telling of a grant that ended", "grant", grant, "error", err)
	}
}
