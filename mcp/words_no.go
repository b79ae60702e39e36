package mcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

// The sentences for a person's no: declined, closed, stopped, and for what was approved and does not run.

// about is what a ticket asked for, and the person's own way to it.
func (s *Server) about(ctx context.Context, c *call, t vault.Ticket) (what, way string) {
	if t.Kind == vault.KindApprove {
		return "this call of " + c.entry.tool.Name, fmt.Sprintf("The person finds what waits for them %s.", s.place(ctx))
	}
	return subject(t.Options), s.ownWay(ctx, firstOption(t).Connection)
}

func (s *Server) wordsDeclined(ctx context.Context, c *call, t vault.Ticket) string {
	what, way := s.about(ctx, c, t)
	return fmt.Sprintf("The person declined %s, so %s did not run. Do not ask again for now: no new dialog is shown for at least 2 minutes. %s", what, c.entry.tool.Name, way)
}

func (s *Server) wordsClosed(ctx context.Context, c *call, t vault.Ticket) string {
	what, way := s.about(ctx, c, t)
	return fmt.Sprintf("The dialog for %s was closed without an answer, so %s did not run. No new dialog is shown for 30 seconds; ask the person before you call again. %s", what, c.entry.tool.Name, way)
}

// wordsBackOff does not say which it was: the vault counts both alike.
func (s *Server) wordsBackOff(ctx context.Context, e *vault.BackOffError) string {
	return fmt.Sprintf("The person declined %s lately, or closed its dialog, so no new dialog is shown until %s. Do not ask again before. %s",
		e.Connection, e.Until.UTC().Format(time.RFC3339), s.ownWay(ctx, e.Connection))
}

func wordsOtherArguments(tool string) string {
	return fmt.Sprintf("The arguments are not those that the person approved, so nothing was done. Call %s with \"approval\" alone to run what they approved, or without it to ask them anew.", tool)
}

func wordsNoApproval(tool string) string {
	return fmt.Sprintf("There is no such approval of %s for this person and agent, so nothing was done. Call it with its arguments and without \"approval\": the person is asked then.", tool)
}

func wordsApprovalOver(tool string) string {
	return fmt.Sprintf("This approval of %s was declined, has run out (an approved call has 5 minutes) or no longer fits what is there, so nothing was done. If the person still wants it, call it with its arguments and without \"approval\".", tool)
}

func wordsChanged(tool string) string {
	return fmt.Sprintf("What %s would change is not any more what the person saw when they approved it, so nothing was written and the approval is over. Call it again with the same arguments and without \"approval\": the person is asked anew and sees what is there now.", tool)
}

func wordsRan(tool string, at, now time.Time) string {
	return fmt.Sprintf("This approved call of %s already ran at %s, and runs once only: nothing was done now. Look at what it did; to do it again, ask the person by a new call without \"approval\".", tool, clock(at, now))
}

// wordsForm is the question in a client's own dialog: the call as it will run.
func wordsForm(c *call, account, text string) string {
	if account != "" {
		account = " as " + account
	}
	return fmt.Sprintf("%s wants to run %q (%s)%s:\n\n%s", c.agent.Label(), c.entry.tool.Title, c.entry.tool.Name, account, text)
}

func wordsDecision(destroy bool) string {
	if destroy {
		return "once: run exactly this call. decline: do not run it."
	}
	return "once: run exactly this call. hour, today: run this and further calls of this tool without asking, for one hour or until midnight. decline: do not run it."
}

// stoppedBy answers a call that its person ended, nil when they did not.
func (s *Server) stoppedBy(ctx context.Context, c *call, err error) (text string) {
	cause := context.Cause(ctx)
	if e, ok := errors.AsType[*vault.StoppedError](cause); ok {
		c.stopped = "stopped"
		return fmt.Sprintf("The person has stopped %s, so %s was ended. %s%s", stopped(e), c.entry.tool.Name, c.mayHaveHappened(), s.goesOn(ctx))
	}
	if errors.Is(cause, vault.ErrRevoked) {
		c.stopped = "access_revoked"
		return fmt.Sprintf("The person has taken away the access under which %s ran, so it was ended. %sCall again only if they want it: they are asked then.", c.entry.tool.Name, c.mayHaveHappened())
	}
	if e, ok := errors.AsType[*vault.StoppedError](err); ok {
		c.reason = "stopped"
		return fmt.Sprintf("The person has stopped %s, so %s did not run, and nobody is asked. %s", stopped(e), c.entry.tool.Name, s.goesOn(ctx))
	}
	return ""
}

func stopped(e *vault.StoppedError) string {
	switch {
	case e.Agent != "":
		return "this agent"
	case e.Account != "":
		return "the use of this account"
	}
	return "all agents"
}

// mayHaveHappened is said of a call that had begun at the vendor.
func (c *call) mayHaveHappened() string {
	if !c.source.sent() || !c.entry.writes() {
		return ""
	}
	return "It had already sent something to the vendor, so it may have happened all the same: look before anything is done again. "
}

func (s *Server) goesOn(ctx context.Context) string {
	return fmt.Sprintf("Do not call again before they let it go on %s.", s.page(context.WithoutCancel(ctx), "agents"))
}
