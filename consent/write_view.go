package consent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/grantry/grantry/vault"
)

// writeView is the call that a person is asked for, exactly as it will run.
type writeView struct {
	Tool, Title string
	Destroy     bool
	Vendor      string // of the account that it runs with, "" until one is chosen
	Account     string
	Arguments   []argument
	Changes     []changeView
	Odd         bool // something stands in marks
}

// changeView is one field of an update, before and after.
type changeView struct {
	Field text
	Lines []line
}

// argument is one value of a call. It has Parts where it is an object or a list.
type argument struct {
	Name    text // "" for a part of a list
	Value   text
	Literal bool // a number, true, false or null: no text
	Parts   []argument
}

// writeView answers nil for a ticket that asks for no write.
func (h *Handler) writeView(v *visit, t vault.Ticket) (*writeView, error) {
	if t.Approval == "" {
		return nil, nil
	}
	a, err := h.cfg.Vault.Approval(v.ctx(), t.Owner.Caller, t.Approval)
	if err != nil {
		return nil, fmt.Errorf("reading approval: %w", err)
	}
	view := &writeView{Tool: shown(a.Tool, 120), Title: shown(a.Title, 120), Destroy: a.Destroy}
	if view.Title == "" {
		view.Title = view.Tool
	}
	if view.Arguments, err = h.argumentsOf(a.Arguments); err != nil {
		return nil, fmt.Errorf("reading arguments: %w", err)
	}
	for _, c := range a.Changes {
		view.Changes = append(view.Changes, changeView{Field: visible(c.Field), Lines: compared(c.Was, c.Becomes)})
	}
	view.Odd = view.marked()
	if a.Account != "" {
		account := h.accountOf(v, vault.Ticket{Grant: a.Account})
		p, _ := h.provider(account.Connection)
		view.Vendor, view.Account = titleOf(p, account.Connection), shown(account.Label, 80)
	}
	return view, nil
}

// marked says whether the call holds what visible shows as a mark.
func (w *writeView) marked() bool {
	for _, c := range w.Changes {
		if slices.ContainsFunc(c.Lines, func(l line) bool { return odd(l.Text) }) {
			return true
		}
	}
	return slices.ContainsFunc(w.Arguments, argument.marked)
}

func (a argument) marked() bool {
	return odd(a.Name) || odd(a.Value) || slices.ContainsFunc(a.Parts, argument.marked)
}

// argumentsOf are a call's arguments in their order, every one and in full.
func (h *Handler) argumentsOf(raw json.RawMessage) ([]argument, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	all, err := h.argument(d, "")
	if err != nil || len(all.Parts) > 0 {
		return all.Parts, err
	}
	return nil, nil
}

func (h *Handler) argument(d *json.Decoder, name text) (argument, error) {
	a := argument{Name: name}
	token, err := d.Token()
	if err != nil {
		return a, err
	}
	switch value := token.(type) {
	case json.Delim:
		return h.parts(d, a, value == '{')
	case string:
		if a.Value = visible(value); value == "" {
			a.Value, a.Literal = h.say("write.empty"), true
		}
	case nil:
		a.Value, a.Literal = h.say("write.null"), true
	default:
		a.Value, a.Literal = visible(fmt.Sprint(value)), true
	}
	return a, nil
}

// parts reads an object or a list up to its end.
func (h *Handler) parts(d *json.Decoder, a argument, object bool) (argument, error) {
	for d.More() {
		var name text
		if object {
			key, err := d.Token()
			if err != nil {
				return a, err
			}
			name = visible(fmt.Sprint(key))
		}
		part, err := h.argument(d, name)
		if err != nil {
			return a, err
		}
		a.Parts = append(a.Parts, part)
	}
	if len(a.Parts) == 0 {
		a.Value, a.Literal = h.say("write.nothing"), true
	}
	_, err := d.Token()
	return a, err
}
