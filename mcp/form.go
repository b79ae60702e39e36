package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

const (
	decisionKey = "decision"
	decline     = "decline"
	// maxForm is how many characters a call may have to be shown in a client's dialog. A longer one goes to the page.
	maxForm = 1000
)

// form is the question about a write for the client's own dialog. It is only
// for a client on this desktop, whose user is our person, that has declared
// forms, and for a call that a dialog can show as it is; any other goes to the page.
func (s *Server) form(ctx context.Context, c *call, t vault.Ticket) (mcpgo.ElicitationParams, bool) {
	if !c.stdio || !c.peer.form || t.Kind != vault.KindApprove || t.Approval == "" {
		return mcpgo.ElicitationParams{}, false
	}
	a, err := c.vault.Approval(ctx, c.person.Caller, t.Approval)
	if err != nil {
		return mcpgo.ElicitationParams{}, false
	}
	text, ok := plainCall(a.Arguments, a.Changes)
	if !ok {
		return mcpgo.ElicitationParams{}, false
	}
	return mcpgo.ElicitationParams{
		Mode: mcpgo.ElicitationModeForm, Message: wordsForm(c, s.label(ctx, c, t), text), RequestedSchema: decisionSchema(a.Destroy),
	}, true
}

// label is the account that a ticket is about, as its person knows it.
func (s *Server) label(ctx context.Context, c *call, t vault.Ticket) string {
	all, err := c.vault.Accounts(ctx, c.person.Caller)
	if err != nil {
		return ""
	}
	for _, a := range all {
		if a.ID == firstOption(t).Grant {
			return a.Label
		}
	}
	return ""
}

// decisions are the answers of the form. What removes something is asked about each time.
func decisions(destroy bool) []string {
	if destroy {
		return []string{string(vault.ApproveOnce), decline}
	}
	return []string{string(vault.ApproveOnce), string(vault.ApproveHour), string(vault.ApproveToday), decline}
}

// decisionSchema is one question, as an elicitation may ask it: a flat object of an enum.
func decisionSchema(destroy bool) json.RawMessage {
	raw, err := encode(map[string]any{
		"type": "object", "required": []string{decisionKey},
		"properties": map[string]any{decisionKey: map[string]any{
			"type": "string", "title": "Decision", "description": wordsDecision(destroy), "enum": decisions(destroy),
		}},
	})
	if err != nil {
		panic(fmt.Sprintf("mcp: schema: %v", err))
	}
	return raw
}

// showForm asks: a modern client gets the form back as what its call needs, an
// earlier one is asked while its call waits.
func (s *Server) showForm(ctx context.Context, c *call, t vault.Ticket, form mcpgo.ElicitationParams) (reply, bool) {
	s.asks.show(t.ID, s.cfg.Now())
	if c.peer.session != "" {
		return s.askNow(ctx, c, t, form)
	}
	name := s.reference()
	state, err := s.sealState(c, requestState{Ticket: t.ID, Form: name})
	if err != nil {
		return reply{result: s.failure(ctx, c, err)}, false
	}
	s.asks.openForm(name, t.Expires, s.cfg.Now())
	return reply{result: server.NewInputRequestBuilder(state).Elicit(elicitationKey, form).ToolResult()}, false
}

// askNow asks a client of the 2025 era by a request of our own. The person may
// answer on the page meanwhile; a client that does not know forms after all gets the link.
func (s *Server) askNow(ctx context.Context, c *call, t vault.Ticket, form mcpgo.ElicitationParams) (reply, bool) {
	if !s.asks.enter() {
		return s.showLink(ctx, c, t), false
	}
	s.asks.dialog(t.ID, true)
	answer, err := s.elicit(ctx, c, t, form)
	s.asks.dialog(t.ID, false)
	s.asks.leave()
	switch {
	case ctx.Err() != nil:
		return reply{result: s.failure(ctx, c, ctx.Err())}, false
	case err != nil:
		if now, known := c.vault.TicketByID(ctx, c.person.Caller, t.ID); known == nil && now.Over() {
			return s.goOn(ctx, c, now, s.pending)
		}
		return s.showLink(ctx, c, t), false
	}
	c.asked, c.state.Ticket = t.Approval, t.ID
	r, over := s.decide(ctx, c, *answer)
	return r, !over
}

// elicit is the client's answer, or an error when the ticket is over before there is one.
func (s *Server) elicit(ctx context.Context, c *call, t vault.Ticket, form mcpgo.ElicitationParams) (*mcpgo.ElicitationResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	go func() {
		_, _ = c.vault.AwaitTicket(ctx, c.person.Caller, t.ID)
		cancel()
	}()
	res, err := s.mcp.RequestElicitation(ctx, mcpgo.ElicitationRequest{Params: form})
	if err != nil {
		return nil, err
	}
	return &res.ElicitationResponse, nil
}

// answered is a modern client's answer to a form. One that was closed or
// answered before is over: then the call is like any that asks.
func (s *Server) answered(ctx context.Context, c *call, answer mcpgo.ElicitationResponse) (reply, bool) {
	if !c.stdio || !s.asks.takeForm(c.state.Form, s.cfg.Now()) {
		return reply{}, false
	}
	t, err := c.vault.TicketByID(ctx, c.person.Caller, c.state.Ticket)
	if err != nil {
		return reply{result: failed(wordsForeignState(c.entry.tool.Name))}, true
	}
	c.asked = t.Approval
	return s.decide(ctx, c, answer)
}

// decide does what the person said in the client's dialog; over = the call ends with it.
func (s *Server) decide(ctx context.Context, c *call, answer mcpgo.ElicitationResponse) (r reply, over bool) {
	said := decisionOf(answer, c.write().Destroy)
	switch said {
	case decline:
		c.reason = "declined"
		t, err := c.vault.TicketByID(ctx, c.person.Caller, c.state.Ticket)
		if err == nil {
			err = unless(vault.ErrGone, c.vault.DeclineInClient(ctx, c.person, c.asked))
		}
		if err != nil {
			return reply{result: s.failure(ctx, c, err)}, true
		}
		s.asks.forget(t.ID)
		return reply{result: failed(s.wordsDeclined(ctx, c, t))}, true
	case "":
		c.reason = "closed"
		return s.declined(ctx, c, true), true
	}
	// Over already is no error: the vault says what became of it.
	if err := unless(vault.ErrGone, c.vault.ApproveInClient(ctx, c.person, c.asked, vault.ApproveFor(said))); err != nil {
		return reply{result: s.failure(ctx, c, err)}, true
	}
	s.asks.forget(c.state.Ticket)
	return reply{}, false
}

// decisionOf is what the person decided, "" when they closed the dialog, or a client answers what was not offered.
func decisionOf(answer mcpgo.ElicitationResponse, destroy bool) string {
	switch answer.Action {
	case mcpgo.ElicitationResponseActionDecline:
		return decline
	case mcpgo.ElicitationResponseActionAccept:
		content, _ := answer.Content.(map[string]any)
		for _, d := range decisions(destroy) {
			if content[decisionKey] == d {
				return d
			}
		}
	}
	return ""
}

// plainCall is a call as lines of text, false when a dialog could not show all
// of it as it is: it is long, or holds characters that are not seen or change how others are.
func plainCall(args json.RawMessage, changes []vault.Change) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil || !plainValue(object) {
		return "", false
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text, isText := object[name].(string)
		if !isText {
			raw, err := encode(object[name])
			if err != nil {
				return "", false
			}
			text = string(raw)
		}
		lines = append(lines, name+": "+text)
	}
	for _, x := range changes {
		if !plain(x.Was) || !plain(x.Becomes) {
			return "", false
		}
		lines = append(lines, fmt.Sprintf("%s: %q becomes %q", x.Field, x.Was, x.Becomes))
	}
	text := strings.Join(lines, "\n")
	return text, utf8.RuneCountInString(text) <= maxForm
}

// plainValue says whether all text within v is plain.
func plainValue(v any) bool {
	switch v := v.(type) {
	case string:
		return plain(v)
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !plainValue(e) })
	case map[string]any:
		for name, e := range v {
			if !plain(name) || !plainValue(e) {
				return false
			}
		}
	}
	return true
}

// plain says whether each character of s is seen, and stands where it is
// written: no control, format, combining or default-ignorable ones, and of spaces only the usual.
func plain(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point) {
			return false
		}
	}
	return true
}
