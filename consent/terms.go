package consent

import (
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/grantry/grantry/vault"
)

var errTerms = errors.New("form says what no form of ours says")

// readTerms is what the form says besides yes: for how long, for which scopes and agents.
func readTerms(form url.Values, t vault.Ticket, o vault.Option) (a vault.Answer, err error) {
	a.Connection = o.Connection
	if form.Get("scopes") == "shown" { // else the boxes were not on the page, and all stay
		for _, s := range o.Optional {
			if !slices.Contains(form["scope"], s) {
				a.Without = append(a.Without, s)
			}
		}
	}
	if a.Approve = vault.ApproveFor(form.Get("approve")); !slices.Contains(lengths, a.Approve) {
		return a, errTerms
	}
	once := form.Get("answer") == "once"
	switch long := form.Get("for"); long {
	case "":
	case "once":
		once = true
	default:
		if a.TTL, err = time.ParseDuration(long); err != nil || a.TTL <= 0 {
			return a, errTerms
		}
	}
	if t.Agent.ID == "" {
		a.Agents = form["agents"]
		return a, nil
	}
	a.Move = form.Get("move")
	if a.Once = once && t.Kind != vault.KindApprove; a.Once {
		a.TTL, a.Move = 0, ""
	}
	return a, nil
}

var lengths = []vault.ApproveFor{"", vault.ApproveOnce, vault.ApproveHour, vault.ApproveToday}

// length is a choice for how long an agent may go on.
type length struct {
	Value string
	Text  text
}

// lengths of access that the page offers, the default first.
func (h *Handler) lengths() []length {
	out := []length{{Text: h.pages.span(h.cfg.AccessTTL)}}
	for _, d := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour} {
		if d < h.cfg.AccessTTL {
			out = append(out, length{Value: d.String(), Text: h.pages.span(d)})
		}
	}
	return out
}
