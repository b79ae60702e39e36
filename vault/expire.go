package vault

import (
	"errors"
	"fmt"
)

// expireTickets writes an entry for each ticket that ran out. A ticket itself
// stays for a while, so that its page can say so; its pointer, which runs out
// with it, is what is taken here, so that of several processes one writes the entry.
func (v *Vault) expireTickets(tx Tx) (n int, err error) {
	recs, err := tx.Records().Expired(recPointer, v.now(), sweepAtOnce)
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
		if err := v.expireTicket(tx, rec); err != nil {
			return n, fmt.Errorf("expiring ticket: %w", err)
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
		return v.append(tx, v.ticketEntry("ticket.expired", t))
	case t.Over():
		return nil
	}
	// Allow was pressed again at the last moment: it has until the end of that visit.
	name := v.pointer(pointer.Owner, TicketRequest{Agent: t.Agent, Need: &ConsentError{Options: t.Options}})
	return v.putRecord(tx, recPointer, name, pointer.Owner, id, Millis(t.Started.Add(flowTTL))+1)
}
