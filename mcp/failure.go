package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// failure is what an agent reads about an error: by its kind. What it does not
// know becomes a reference into the log.
func (s *Server) failure(ctx context.Context, c *call, err error) *mcpgo.CallToolResult {
	if text := s.stoppedBy(ctx, c, err); text != "" {
		return failed(text)
	}
	if e, ok := errors.AsType[*vault.RanError](err); ok {
		return failed(wordsRan(c.entry.tool.Name, e.At, s.cfg.Now()))
	}
	if errors.Is(err, errChanged) {
		return failed(wordsChanged(c.entry.tool.Name))
	}
	if e, ok := errors.AsType[*vault.ConsentError](err); ok {
		if e.Err != nil {
			s.log.WarnContext(ctx, "no token", "tool", c.entry.tool.Name, "reason", string(e.Reason), "error", e.Err, "reference", c.source.call)
		}
		return failed(s.wordsConsent(ctx, e, c.source.call))
	}
	if e, ok := errors.AsType[*tools.InputError](err); ok {
		return failed(fmt.Sprintf("Wrong arguments for %s: %s. Correct them and call again.", c.entry.tool.Name, strings.TrimSuffix(e.Error(), ".")))
	}
	if e, ok := errors.AsType[*tools.APIError](err); ok {
		return failed(s.wordsAPI(ctx, e))
	}
	if e, ok := errors.AsType[*vault.BackOffError](err); ok {
		return failed(s.wordsBackOff(ctx, e))
	}
	if e, ok := errors.AsType[*vault.LimitError](err); ok {
		if to, ok := sinkOf(ctx); ok && !e.Until.IsZero() {
			to.later(e.Until.Sub(s.cfg.Now()))
		}
		return failed(s.wordsLimit(ctx, e))
	}
	if e, ok := errors.AsType[*Notice](err); ok {
		s.log.WarnContext(ctx, "person told", "error", e.Err, "reference", c.source.call)
		return failed(e.Text)
	}
	if e, ok := errors.AsType[*provider.ScopeError](err); ok {
		return failed(fmt.Sprintf("%s refused for lack of permission. Call connections_list to see what is granted.", e.Provider))
	}
	if ctx.Err() != nil {
		return failed(wordsCancelled)
	}
	s.log.ErrorContext(ctx, "call failed", "tool", c.entry.tool.Name, "error", err, "reference", c.source.call)
	return failed(wordsInternal(c.source.call))
}

// wordsConsent is for the reasons that no ticket mends.
func (s *Server) wordsConsent(ctx context.Context, e *vault.ConsentError, ref string) string {
	name := "The connection"
	if len(e.Options) > 0 {
		name = capital(subject(e.Options))
	}
	switch e.Reason {
	case vault.AccountAmbiguous:
		return fmt.Sprintf("Several accounts could serve this: %s. Call again with \"account\" set to one of them; or the person marks one as default %s.", quoted(e.Labels), s.place(ctx))
	case vault.AccountUnknown:
		if len(e.Labels) == 0 {
			return "There is no such account, and none is connected for this. Call again without \"account\" to get a link."
		}
		return fmt.Sprintf("There is no such account. Call again with \"account\" set to one of: %s.", quoted(e.Labels))
	case vault.ConnMisconfigured:
		if len(e.Options) == 0 {
			return "This Grantry has no connection to a vendor that this tool could use. Its operator adds one under connections in Grantry's configuration, or starts it with --sandbox to try it with made-up vendors."
		}
		return fmt.Sprintf("%s is not set up correctly in this Grantry, so no person can mend it by a click. Its operator finds the cause in the log under reference %s and by `grantry config check`.", name, ref)
	case vault.CannotNarrow:
		return fmt.Sprintf("%s cannot give a token with only these rights. Nothing was done; the operator can allow wider ones.", name)
	case vault.ProviderUnreachable:
		return fmt.Sprintf("%s does not answer at the moment. Nothing is lost and nobody has to do anything: %s.", name, tryAgain(e.RetryAfter))
	case vault.VaultDegraded:
		if errors.Is(e, vault.ErrCopied) {
			return "This vault is a copy, or was restored from a backup, and nobody has said yet that it is the one that lives; until then it gives out nothing. Its operator runs `grantry restore --confirm` on the one that is to live, and never starts the other again; then call again."
		}
		return "Grantry's vault cannot write at the moment (a full or read-only disk?), so it gives out nothing. Its operator finds the cause in the log under reference " + ref + "; then call again."
	}
	return wordsInternal(ref)
}

// wordsLimit names a time where waiting alone helps.
func (s *Server) wordsLimit(ctx context.Context, e *vault.LimitError) string {
	next := "after it is answered or declined, call again"
	if !e.Until.IsZero() {
		next = "after it is answered or declined, or after " + e.Until.UTC().Format(time.RFC3339) + ", call again"
	}
	return fmt.Sprintf("This agent has asked for too much at once (limits.%s: %d). The person finds what is open %s; %s.", e.What, e.Max, s.place(ctx), next)
}

func (s *Server) wordsAPI(ctx context.Context, e *tools.APIError) string {
	text := capital(e.Error())
	switch {
	case e.Temporary:
		return text + ". This is temporary: " + tryAgain(e.RetryAfter) + "."
	case e.Unsure:
		return text + "."
	case e.Status == http.StatusUnauthorized:
		return text + ". Call again once; if it stays so, the person can connect the account again " + s.place(ctx) + "."
	}
	return text + ". Change the arguments, or ask the person to look at the account there."
}

func tryAgain(after time.Duration) string {
	if after <= 0 {
		return "call again in a minute"
	}
	return "call again in " + after.Round(time.Second).String()
}

func quoted(labels []string) string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = fmt.Sprintf("%q", l)
	}
	return strings.Join(out, ", ")
}

func wordsVault(err error, ref string) string {
	if e, ok := errors.AsType[*Notice](err); ok {
		return e.Text
	}
	return "Grantry's vault could not be opened, so there is no access to any account. The cause is in Grantry's log (stderr) under reference " + ref + "; `grantry config check` helps to find it. Then call again."
}
