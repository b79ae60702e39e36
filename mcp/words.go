package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/grantry/grantry/vault"
)

// The sentences that an agent reads to its person. Each says what to do next;
// none holds a token, a vendor's text or the text of an error of ours.

const (
	wordsArguments = "The arguments are not valid JSON. Send an object with the arguments that the tool's schema names."
	wordsCancelled = "The call was cancelled."
	maxWords       = 700 // bytes of a result with a link
)

func wordsInternal(ref string) string {
	return "Something went wrong inside Grantry. Try again once; if it happens again, the operator finds the cause in Grantry's log under reference " + ref + "."
}

func wordsDenied(tool string) string {
	return fmt.Sprintf("%s is switched off in this Grantry's configuration (tools.policy or tools.writes: deny). Nothing was done. Only its operator can change that.", tool)
}

func wordsNoTool(name string, all []string) string {
	if r := []rune(name); len(r) > 60 {
		name = string(r[:60]) + "…"
	}
	return fmt.Sprintf("There is no tool %q. The tools are: %s.", name, strings.Join(all, ", "))
}

func wordsRate(what string, wait time.Duration) string {
	return fmt.Sprintf("Too many calls in one minute (limits.%s). Wait %d seconds, then call again.", what, wholeSeconds(wait))
}

func wordsStillLacking(tool string) string {
	return fmt.Sprintf("The person has agreed several times, and %s still cannot run. Call connections_list to see what is missing, and tell the person.", tool)
}

func wordsForeignState(tool string) string {
	return fmt.Sprintf("The requestState is not one that Grantry gave for this call of %s, so nothing was run. Call the tool again without it.", tool)
}

func wordsStillWaiting(tool string) string {
	return fmt.Sprintf("Still waiting for the person to finish in the browser. Call %s again when they are done.", tool)
}

func wordsPending(tool string) string {
	return fmt.Sprintf("Still pending: the person has begun in the browser and is not done yet. Ask them to finish there, then call %s again.", tool)
}

// subject is what a ticket is about: "google" or "one of google, microsoft".
func subject(options []vault.Option) string {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.Connection
	}
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

func firstOption(t vault.Ticket) vault.Option {
	if len(t.Options) == 0 {
		return vault.Option{Connection: "unknown"}
	}
	return t.Options[0]
}

// why says in one sentence what is lacking.
func why(reason vault.Reason, options []vault.Option) string {
	name := capital(subject(options))
	switch reason {
	case vault.UnderScoped:
		return name + " is connected, but does not yet allow what this needs."
	case vault.Revoked:
		return "The access to " + subject(options) + " was revoked and has to be given again."
	case vault.Expired, vault.NoRefreshToken:
		return "The access to " + subject(options) + " has run out and has to be given again."
	case vault.AccountChanged:
		return "The account at " + subject(options) + " has changed and has to be connected again."
	case vault.ConnChanged:
		return "The settings of " + subject(options) + " have changed, so it has to be connected again."
	case vault.AgentNotAllowed:
		return name + " is connected, but not yet opened to this agent."
	case vault.ApprovalRequired:
		return "A person has to approve this first."
	}
	if len(options) > 1 {
		return "This needs " + subject(options) + ", and none is connected yet."
	}
	return name + " is not connected yet."
}

// capital is s as a sentence begins.
func capital(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[n:]
}

// shortScopes are the last parts of scopes that are addresses, at most size bytes of them.
func shortScopes(scopes []string, size int) string {
	var b strings.Builder
	for i, scope := range scopes {
		if at := strings.LastIndexByte(strings.TrimRight(scope, "/"), '/'); strings.Contains(scope, "://") && at >= 0 {
			scope = strings.TrimRight(scope, "/")[at+1:]
		}
		if b.Len()+len(scope) > size {
			fmt.Fprintf(&b, " and %d more", len(scopes)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(scope)
	}
	return b.String()
}

// wordsElicit is the message of a URL elicitation.
func wordsElicit(tool string, t vault.Ticket) string {
	if t.Kind == vault.KindApprove {
		return fmt.Sprintf("%s would change something at %s. Open the page to see exactly what it would do, and to allow or decline it.", tool, subject(t.Options))
	}
	text := why(t.Reason, t.Options)
	if scopes := shortScopes(wanted(t), 160); scopes != "" {
		text += fmt.Sprintf(" %s asks for: %s.", tool, scopes)
	}
	return text + " Open the page to look at it and to allow or decline."
}

// wordsLink is the text for a client that shows no elicitation: less than 700
// bytes as long as the link is shorter than 300.
func wordsLink(tool string, t vault.Ticket, link string) string {
	head := why(t.Reason, t.Options)
	if len(head) > 150 {
		head = "A connection is needed."
	}
	if t.Kind == vault.KindApprove {
		head = "This call would change something, and nothing is done yet."
	}
	again := tool
	if t.Approval != "" {
		again = fmt.Sprintf("%s, with the same arguments or with %q: %q alone", tool, "approval", t.Approval)
	}
	text := fmt.Sprintf("%s A person has to allow it in a browser.\nWhat to do: show this link unchanged, do not open it, then call again (%s) when the person is done:\n%s\n", head, again, link)
	tail := fmt.Sprintf("It works until %s.", t.Expires.UTC().Format(time.RFC3339))
	if scopes := shortScopes(wanted(t), min(160, maxWords-50-len(text)-len(tail))); scopes != "" {
		tail += " It asks for: " + scopes + "."
	}
	if len(text)+len(tail) < maxWords {
		text += tail
	}
	return text
}

// place is where the person sees and adds accounts, and what waits for them: where the pages are now.
func (s *Server) place(ctx context.Context) string { return s.page(ctx, "connections") }

// page is one of the pages that the person has for themselves.
func (s *Server) page(ctx context.Context, name string) string {
	base, err := s.pages(ctx)
	if err != nil {
		return "on Grantry's " + name + " page"
	}
	return "at " + base + "/" + name
}

// ownWay names how the person gets there without an agent; no back-off touches it.
func (s *Server) ownWay(ctx context.Context, connection string) string {
	return fmt.Sprintf("The person can connect at any time %s or by `grantry connect %s`.", s.place(ctx), connection)
}
