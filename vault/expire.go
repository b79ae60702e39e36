package vault

import (
	"errors"
	"fmt"
)

// expire writes an entry for each ticket and each approved write that ran out.
// They stay for a while, so that a page can say so; what runs out with them and is
// taken here is the record that points at them, so that of several processes one writes the entry.
// What was held is owed to its vendor.
func (v *Vault) expire(tx Tx) (n int, debts []*owed, err error) {
	held := func(tx Tx, rec Record) error {
		o, err := v.expireHeld(tx, rec)
		if o != nil {
			debts = append(debts, o)
		}
		return err
	}
	for kind, one := range map[string]func(Tx, Record) error{
		recPointer: v.expireTicket, recApproved: v.expireApproval, recHeld: held,
	} {
		some, err := v.takeExpired(tx, kind, one)
		if n += some; err != nil {
			return n, debts, err
		}
	}
	return n, debts, nil
}

func (v *Vault) takeExpired(tx Tx, kind string, one func(Tx, Record) error) (n int, err error) {
	recs, err := tx.Records().Expired(kind, v.now(), sweepAtOnce)
	if err != nil {
		return 0, err
	}
	for _, rec := range recs {
		switch _, err := tx.Records().Take(rec.Kind, rec.Hash, 0); {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return n, err
		}
		n++
		if err := one(tx, rec); err != nil {
			return n, fmt.Errorf("expiring %s: %w", kind, err)
		}
	}
	return n, nil
}

func (v *Vault) expireTicket(tx Tx, pointer Record) error {
	id, err := v.openRecord(tx, pointer)
	var t Ticket
	if err == nil {
		t, err = v.ticket(tx, v.handleOf(string(id)))
	}
	switch {
	case damaged(err): // nobody can read it any more
		return nil
	case err != nil:
		return err
	case t.State == TicketExpired:
		return v.noteExpired(tx, t)
	case t.Over():
		return nil
	}
	// Allow was pressed again at the last moment: it has until the end of that visit.
	return v.putHashed(tx, Record{Kind: recPointer, Hash: pointer.Hash, Owner: pointer.Owner, Expires: Millis(t.Started.Add(flowTTL)) + 1}, id)
}

// noteExpired writes that a ticket ran out, and the write that it asked for.
func (v *Vault) noteExpired(tx Tx, t Ticket) error {
	return errors.Join(v.append(tx, v.ticketEntry("ticket.expired", t)), v.unapproved(tx, t, ApprovalExpired))
}

func (v *Vault) expireApproval(tx Tx, pointer Record) error {
	id, err := v.openRecord(tx, pointer)
	var a storedApproval
	if err == nil {
		a, err = v.approval(tx, string(id))
	}
	if err != nil || a.State != ApprovalExpired {
		return unlessDamaged(err)
	}
	return v.append(tx, v.approvalEntry("approval.expired", a))
}
