package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

const (
	elicitationKey = "consent" // of the one request in inputRequests
	maxLater       = 2         // answers "retry later" to one call
	maxWatched     = 256       // completions that are waited for, to notify sessions
	// gather is how long the first call holds its link back, so that those that
	// were sent together with it are seen as such: a client writes ten calls in a row.
	gather = 40 * time.Millisecond
)

// ask opens a ticket for what is lacking and answers as this client can show
// it; again = the person has done it meanwhile, so the call goes on.
func (s *Server) ask(ctx context.Context, c *call, lack *vault.ConsentError) (r reply, again bool) {
	c.lack, c.named, c.source.approval = lack, false, ""
	t, err := c.ticket(ctx)
	if err != nil {
		return reply{result: s.failure(ctx, c, err)}, false
	}
	if c.state.Ticket == t.ID && (c.accepted || c.state.Round > 0) {
		return s.goOn(ctx, c, t, s.later)
	}
	if c.peer.row != rowModern && t.State == vault.TicketStarted || s.asks.inDialog(t.ID) {
		return s.goOn(ctx, c, t, s.pending)
	}
	switch s.asks.turn(t, c.began, s.cfg.Now()) {
	case turnShow:
		if s.pause(ctx, gather); ctx.Err() != nil {
			s.asks.forget(t.ID)
			return reply{result: s.failure(ctx, c, ctx.Err())}, false
		}
	case turnWait:
		return s.goOn(ctx, c, t, s.showUnlessStarted)
	case turnAgain:
	}
	return s.show(ctx, c, t)
}

// ticket is the open ticket for what the call lacks: a new one, or the one that
// there is. One ticket asks for all of it, the person's yes to a write included.
func (c *call) ticket(ctx context.Context) (vault.Ticket, error) {
	r := vault.TicketRequest{Owner: c.person, Agent: c.agent, Tool: c.entry.tool.Name, Need: c.lack}
	if c.rule == ruleAsk {
		r.Write, r.Call = c.write(), c.request()
		if c.lack.Reason == vault.ApprovalRequired {
			r.Need = nil
		}
	}
	t, _, err := c.vault.OpenTicket(ctx, r)
	return t, err
}

// goOn waits for the ticket to be over; else answers by otherwise.
func (s *Server) goOn(ctx context.Context, c *call, t vault.Ticket, otherwise func(context.Context, *call, vault.Ticket) (reply, bool)) (reply, bool) {
	t = s.wait(ctx, c, t)
	if t.Over() {
		s.asks.forget(t.ID)
	}
	switch {
	case ctx.Err() != nil:
		return reply{result: s.failure(ctx, c, ctx.Err())}, false
	case t.State == vault.TicketDone, t.State == vault.TicketExpired:
		c.asked = t.Approval
		return reply{}, true
	case t.State == vault.TicketDeclined:
		c.reason = "declined"
		return reply{result: failed(s.wordsDeclined(ctx, c, t))}, false
	}
	return otherwise(ctx, c, t)
}

// wait waits until the ticket is over, the time is up, all places are taken, the
// call is cancelled or the server stops, and answers the ticket as it is then.
func (s *Server) wait(ctx context.Context, c *call, t vault.Ticket) vault.Ticket {
	if !s.asks.enter() {
		return t
	}
	defer s.asks.leave()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WaitFor)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	got, err := c.vault.AwaitTicket(ctx, c.person.Caller, t.ID)
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "waiting for ticket", "error", err)
	}
	if got.ID == "" {
		return t
	}
	return got
}

func (s *Server) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.stopping.Done():
	}
}

// later asks a modern client to come again, and asks nobody anything.
func (s *Server) later(ctx context.Context, c *call, t vault.Ticket) (reply, bool) {
	if c.peer.row != rowModern || c.state.Round >= maxLater {
		return reply{result: failed(wordsStillWaiting(c.entry.tool.Name))}, false
	}
	state, err := s.sealState(c, requestState{Ticket: t.ID, Round: c.state.Round + 1})
	if err != nil {
		return reply{result: s.failure(ctx, c, err)}, false
	}
	return reply{result: server.NewInputRequestBuilder(state).ToolResult()}, false
}

// pending is for a person who is at the vendor's page: nothing new is shown.
func (s *Server) pending(_ context.Context, c *call, _ vault.Ticket) (reply, bool) {
	return reply{result: failed(wordsPending(c.entry.tool.Name))}, false
}

// showUnlessStarted is for a call that waited beside the one that showed the
// link. It looks again: the person may have declined meanwhile.
func (s *Server) showUnlessStarted(ctx context.Context, c *call, _ vault.Ticket) (reply, bool) {
	t, err := c.ticket(ctx)
	if err != nil {
		return reply{result: s.failure(ctx, c, err)}, false
	}
	if c.peer.row != rowModern && t.State == vault.TicketStarted || s.asks.inDialog(t.ID) {
		return s.pending(ctx, c, t)
	}
	return s.show(ctx, c, t)
}

// show asks in the client's own dialog where that may be, else it gives the link.
func (s *Server) show(ctx context.Context, c *call, t vault.Ticket) (reply, bool) {
	if form, ok := s.form(ctx, c, t); ok {
		return s.showForm(ctx, c, t, form)
	}
	return s.showLink(ctx, c, t), false
}

// showLink gives the link, in the way of this client's row.
func (s *Server) showLink(ctx context.Context, c *call, t vault.Ticket) reply {
	link, err := s.link(ctx, c, t)
	if err != nil {
		s.asks.forget(t.ID)
		return reply{result: s.failure(ctx, c, err)}
	}
	defer func() { s.asks.show(t.ID, s.cfg.Now()) }()
	switch c.peer.row {
	case rowModern:
		state, err := s.sealState(c, requestState{Ticket: t.ID})
		if err != nil {
			return reply{result: s.failure(ctx, c, err)}
		}
		return reply{result: server.NewInputRequestBuilder(state).Elicit(elicitationKey, mcpgo.ElicitationParams{
			Mode: mcpgo.ElicitationModeURL, URL: link, Message: wordsElicit(c.entry.tool.Name, t),
		}).ToolResult()}
	case rowLegacy:
		s.tellWhenDone(c, t)
		return reply{err: &linkError{words: wordsElicit(c.entry.tool.Name, t), required: mcpgo.URLElicitationRequiredError{
			Elicitations: []mcpgo.ElicitationParams{{
				Mode: mcpgo.ElicitationModeURL, ElicitationID: elicitationID(t), URL: link, Message: wordsElicit(c.entry.tool.Name, t),
			}},
		}}}
	}
	s.openBrowser(ctx, c, t, link)
	return reply{result: s.linkResult(c, t, link)}
}

// link is where the person goes: an opaque handle on our own pages (R07).
func (s *Server) link(ctx context.Context, c *call, t vault.Ticket) (string, error) {
	base, err := s.pages(ctx)
	if err == nil {
		err = s.returns(t)
	}
	if err != nil {
		return "", err
	}
	return base + "/consent/" + c.vault.Handle(t), nil
}

// returns is nil when one of the ticket's vendors, or our page alone, can serve.
func (s *Server) returns(t vault.Ticket) (err error) {
	for _, o := range t.Options {
		if s.cfg.Returns == nil || !o.VendorNeeded {
			return nil
		}
		if err = s.cfg.Returns(o.Connection); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) pages(ctx context.Context) (string, error) {
	if s.cfg.Pages == nil {
		return s.cfg.PublicURL, nil
	}
	return s.cfg.Pages(ctx)
}

// linkResult is the link for a client without elicitation of URLs.
func (s *Server) linkResult(c *call, t vault.Ticket, link string) *mcpgo.CallToolResult {
	res := failed(wordsLink(c.entry.tool.Name, t, link))
	res.Meta = mcpgo.NewMetaFromMap(map[string]any{metaKey: map[string]any{
		"url": link, "connection": firstOption(t).Connection, "scopes": wanted(t),
		"reason": string(t.Reason), "expires_at": t.Expires.UTC().Format(time.RFC3339),
	}})
	return res
}

const metaKey = "io.github.grantry/consent"

// wanted is what a ticket asks for of the vendor: what is missing, or all of it
// when the person must only allow; nothing when they must only approve.
func wanted(t vault.Ticket) []string {
	o := firstOption(t)
	switch {
	case t.Kind == vault.KindApprove:
		return []string{} // an empty list, not null
	case len(o.Missing) > 0:
		return o.Missing
	}
	return append([]string{}, o.Scopes...)
}

func (s *Server) openBrowser(ctx context.Context, c *call, t vault.Ticket, link string) {
	if !c.stdio || s.cfg.OpenBrowser == nil || !s.asks.firstOpening(t.ID) {
		return
	}
	if err := s.cfg.OpenBrowser(link); err != nil {
		s.log.InfoContext(ctx, "opening browser", "error", err)
	}
}

// tellWhenDone sends notifications/elicitation/complete to the session that got
// the link, when the person has done it (2025-11-25, client/elicitation).
func (s *Server) tellWhenDone(c *call, t vault.Ticket) {
	if c.peer.session == "" || !s.asks.firstTelling(t.ID, c.peer.session) {
		return
	}
	v, owner, session := c.vault, c.person.Caller, c.peer.session
	s.background(func() {
		defer s.asks.endTelling()
		ctx, cancel := context.WithTimeout(s.stopping, t.Expires.Sub(s.cfg.Now()))
		defer cancel()
		got, err := v.AwaitTicket(ctx, owner, t.ID)
		if err != nil || got.State != vault.TicketDone {
			return
		}
		if err := s.tellComplete(ctx, owner, session, elicitationID(t)); err != nil {
			s.log.InfoContext(ctx, "telling client of completion", "error", err)
		}
	})
}

// elicitationID names a ticket towards 2025-era clients. It opens nothing.
func elicitationID(t vault.Ticket) string {
	sum := sha256.Sum256([]byte("elicitation\x00" + t.ID))
	return "c_" + hex.EncodeToString(sum[:12])
}

// linkError makes mcp-go answer -32042, with our sentence as the message.
type linkError struct {
	words    string
	required mcpgo.URLElicitationRequiredError
}

func (e *linkError) Error() string { return e.words }
func (e *linkError) Unwrap() error { return e.required }

// declined backs off after the person said no in the client's dialog.
func (s *Server) declined(ctx context.Context, c *call, cancelled bool) reply {
	t, err := c.vault.TicketByID(ctx, c.person.Caller, c.state.Ticket)
	if err != nil {
		return reply{result: failed(wordsForeignState(c.entry.tool.Name))}
	}
	for _, o := range t.Options {
		if err := c.vault.BackOff(ctx, c.person.Caller, c.agent, o.Connection, cancelled); err != nil {
			return reply{result: s.failure(ctx, c, err)}
		}
	}
	s.asks.forget(t.ID)
	if cancelled {
		return reply{result: failed(s.wordsClosed(ctx, c, t))}
	}
	return reply{result: failed(s.wordsDeclined(ctx, c, t))}
}
