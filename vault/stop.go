package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	recStop = "stop"

	stopKept = 100 * 365 * 24 * time.Hour // until its person lets go on
)

// StopScope is what a person stops: one agent, one account, or with the zero scope everything of theirs.
type StopScope struct {
	Agent   string `json:"agent,omitempty"`   // AgentKey
	Account string `json:"account,omitempty"` // Account.ID
}

// covers says whether an agent on an account is within what is stopped.
func (s StopScope) covers(agent, account string) bool {
	return (s.Agent == "" || s.Agent == agent) && (s.Account == "" || s.Account == account)
}

// Stop is a stop that lasts until its person lets it go on.
type Stop struct {
	StopScope
	Since time.Time `json:"since"`
	Who   Agent     `json:"who,omitzero"` // of Agent: it may be known by nothing else any more
}

// Stopped is what a stop ended.
type Stopped struct {
	Access  int // permissions of agents
	Tickets int // open requests
}

// StoppedError says that the person has stopped this agent, this account or all of theirs: no link is given and nothing allowed until they let it go on.
type StoppedError struct{ Stop }

// Error names what is stopped.
func (e *StoppedError) Error() string {
	switch {
	case e.Agent != "":
		return "stopped by the person: this agent"
	case e.Account != "":
		return "stopped by the person: this account"
	}
	return "stopped by the person: everything"
}

// Stop is the kill switch: all access within s ends at once in every process,
// approvals are void, open tickets are closed, calls in flight are cancelled within
// 5 s, and nothing new is given until Resume. Stopping twice is no error.
// ErrNotFound says that s names nothing of the caller's.
func (v *Vault) Stop(ctx context.Context, c Caller, s StopScope) (out Stopped, err error) {
	defer v.bell.ring()
	err = v.store.Update(ctx, func(tx Tx) error {
		out = Stopped{}
		user, _, err := v.ensureUser(tx, c)
		if err != nil {
			return err
		}
		stop := Stop{StopScope: s, Since: v.cfg.Now().UTC()}
		if stop.Who, err = v.stoppable(tx, c, s); err != nil {
			return fmt.Errorf("stopping: %w", err)
		}
		if err := v.putStop(tx, user, stop); err != nil {
			return err
		}
		e := Entry{Kind: "person.stopped", Caller: c, Agent: stop.Who, Account: s.Account}
		if err := v.append(tx, e); err != nil {
			return err
		}
		if out.Access, err = v.stopAccess(tx, c, s); err != nil {
			return err
		}
		out.Tickets, err = v.stopTickets(tx, user, s)
		return err
	})
	return out, err
}

// stoppable proves that a scope names what is the caller's, and answers its agent.
func (v *Vault) stoppable(tx Tx, c Caller, s StopScope) (who Agent, err error) {
	if s.Account != "" {
		if _, err := v.owned(tx, c, s.Account); err != nil {
			return who, err
		}
	}
	if s.Agent == "" {
		return who, nil
	}
	known, err := v.agents(tx, v.Pseudonym(c))
	if err != nil {
		return who, err
	}
	k, ok := known[s.Agent]
	if !ok {
		return who, ErrNotFound
	}
	return k.Agent, nil
}

// putStop leaves one that is there as it is: it holds since then.
func (v *Vault) putStop(tx Tx, user string, s Stop) error {
	name := v.stopHandle(user, s.StopScope)
	if _, err := tx.Records().Get(recStop, handleHash(name), v.now()); unless(ErrNotFound, err) != nil || err == nil {
		return err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding stop: %w", err)
	}
	return v.putRecord(tx, recStop, name, user, plain, v.now()+stopKept.Milliseconds())
}

func (v *Vault) stopHandle(user string, s StopScope) string {
	return v.index("stop", user, s.Agent, s.Account)
}

func (v *Vault) stopAccess(tx Tx, c Caller, s StopScope) (n int, err error) {
	rows, err := tx.Access().List(v.Pseudonym(c))
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if !s.covers(r.Agent, r.Grant) {
			continue
		}
		if err := v.endAccess(tx, c, r); err != nil {
			return 0, err
		}
		if ends(r) > v.now() {
			n++
		}
	}
	return n, v.endApprovals(tx, c, func(a Agent, account string) bool { return s.covers(v.agentKey(a), account) })
}

// stopTickets closes what agents ask for. What the person asked for themselves, as from /connections, stays.
func (v *Vault) stopTickets(tx Tx, user string, s StopScope) (n int, err error) {
	tickets, err := v.waiting(tx, user)
	if err != nil {
		return 0, err
	}
	for _, t := range tickets {
		if t.Agent == (Agent{}) || !v.stops(s, t.Agent, t.Options) {
			continue
		}
		if _, err := v.closeTicket(tx, &t, "stopped"); err != nil { // without the pause that follows a no; a vendor is told in the background: stopping waits for nobody
			return 0, err
		}
		n++
	}
	return n, nil
}

// stops says whether nothing that an agent asks for is left.
func (v *Vault) stops(s StopScope, a Agent, options []Option) bool {
	key := v.agentKey(a)
	if s.Account == "" {
		return s.covers(key, "")
	}
	return len(options) > 0 && !slices.ContainsFunc(options, func(o Option) bool { return !s.covers(key, o.Grant) })
}

// Resume lets go on what was stopped. Access does not come back: agents ask again. ErrNotFound when it is not stopped.
func (v *Vault) Resume(ctx context.Context, c Caller, s StopScope) error {
	return v.store.Update(ctx, func(tx Tx) error {
		plain, err := v.takeRecord(tx, recStop, v.stopHandle(v.Pseudonym(c), s))
		if err != nil {
			return fmt.Errorf("letting go on: %w", err)
		}
		var was Stop
		if err := json.Unmarshal(plain, &was); err != nil {
			return fmt.Errorf("decoding stop: %w", err)
		}
		return v.append(tx, Entry{Kind: "person.resumed", Caller: c, Agent: was.Who, Account: s.Account})
	})
}

// Stops are the caller's stops, oldest first.
func (v *Vault) Stops(ctx context.Context, c Caller) (out []Stop, err error) {
	err = v.store.View(ctx, func(tx Tx) error { out, err = v.stopsOf(tx, v.Pseudonym(c)); return err })
	return out, err
}

// stopsOf answers also a stop that does not open, as one of everything: whoever changed it gains nothing.
func (v *Vault) stopsOf(tx Tx, user string) (out []Stop, err error) {
	recs, err := tx.Records().List(recStop, user, v.now())
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		var s Stop
		plain, err := v.openRecord(tx, rec)
		if err == nil {
			err = json.Unmarshal(plain, &s)
		}
		if err != nil {
			v.log.Error("a stop does not open: it holds for everything", "error", err)
		}
		out = append(out, s)
	}
	return out, nil
}

// stopped is a *StoppedError where an agent may not be given anything on an account now.
func (v *Vault) stopped(tx Tx, user, agent, account string) error {
	stops, err := v.stopsOf(tx, user)
	for _, s := range stops {
		if s.covers(agent, account) {
			return &StoppedError{Stop: s}
		}
	}
	return err
}

// mayOpen is a *StoppedError where an agent may not ask its person.
func (v *Vault) mayOpen(tx Tx, user string, a Agent, options []Option) error {
	if a == (Agent{}) {
		return nil
	}
	stops, err := v.stopsOf(tx, user)
	for _, s := range stops {
		if v.stops(s.StopScope, a, options) {
			return &StoppedError{Stop: s}
		}
	}
	return err
}
