package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
)

type connectionsCmd struct {
	List    connectionsList    `cmd:"" help:"All connected accounts."`
	Show    connectionsShow    `cmd:"" help:"One account: state, scopes, last refresh, last error."`
	Revoke  connectionsRevoke  `cmd:"" help:"End grants here and at the vendor."`
	Reap    connectionsReap    `cmd:"" help:"End what nobody used for long and forget what ended long ago, by the ages in the config."`
	Confirm connectionsConfirm `cmd:"" help:"Let existing grants go to a connection's changed addresses or client."`
}

// filter picks accounts.
type filter struct {
	User      given `help:"Only this person's (e-mail, name or subject)." placeholder:"WHO"`
	Provider  given `help:"Only of this provider." placeholder:"NAME"`
	OlderThan age   `help:"Only those that were not used for so long, as 30d or 12h." placeholder:"AGE"`
}

func (f filter) matches(a vault.Account, now time.Time) bool {
	last := a.Used
	if last.IsZero() {
		last = a.Created
	}
	o, user := a.Owner, string(f.User)
	return (f.Provider == "" || string(f.Provider) == a.Provider) &&
		(user == "" || strings.EqualFold(user, o.Email) || user == o.Name || user == o.Subject) &&
		(f.OlderThan == 0 || now.Sub(last) > time.Duration(f.OlderThan))
}

func (f filter) empty() bool { return f == filter{} }

// accountLine is an account as --json prints it.
type accountLine struct {
	ID         string     `json:"id"`
	Connection string     `json:"connection"`
	Provider   string     `json:"provider"`
	Label      string     `json:"label"`
	Owner      string     `json:"owner"`
	Scopes     []string   `json:"scopes"`
	State      string     `json:"state"`
	Default    bool       `json:"default"`
	GrantedBy  string     `json:"granted_by"`
	Created    *time.Time `json:"created"`
	Refreshed  *time.Time `json:"last_refresh"`
	Used       *time.Time `json:"last_used"`
	Expires    *time.Time `json:"token_expires"`
	NextTry    *time.Time `json:"next_try"`
	LastError  string     `json:"last_error"`
}

func lineOf(a vault.Account) accountLine {
	state := string(a.State)
	if a.Changed && a.State == vault.GrantActive {
		state = string(vault.ConnChanged)
	}
	return accountLine{
		ID: a.ID, Connection: a.Connection, Provider: a.Provider, Label: a.Label, Owner: a.Owner.Label(), Scopes: a.Scopes,
		State: state, Default: a.Default, GrantedBy: a.GrantedBy, Created: when(a.Created), Refreshed: when(a.Refreshed),
		Used: when(a.Used), Expires: when(a.Expires), NextTry: when(a.NextTry), LastError: a.LastError,
	}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (e *env) vault() (*vault.Vault, error) {
	a, err := e.open(app.Options{})
	if err != nil {
		return nil, err
	}
	return a.Vault(e.ctx)
}

func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

type connectionsList struct {
	filter `embed:""`
}

// Run prints a line per account.
func (c *connectionsList) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	all, err := v.AllAccounts(e.ctx)
	if err != nil {
		return err
	}
	lines := []accountLine{}
	for _, a := range all {
		if c.matches(a, time.Now()) {
			lines = append(lines, lineOf(a))
		}
	}
	if e.common.JSON {
		return e.printJSON(lines)
	}
	if len(lines) == 0 {
		return c.sayNone(e, v, len(all))
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCONNECTION\tACCOUNT\tOWNER\tSTATE\tLAST USED")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Connection, l.Label, l.Owner, l.State, ago(l.Used))
	}
	return w.Flush()
}

func (f filter) sayNone(e *env, v *vault.Vault, all int) error {
	next := "Connect one: grantry connect NAME, where NAME is one of " + strings.Join(v.Connections(), ", ") + "."
	switch {
	case all > 0:
		next = "None of " + counted(all, "account") + " fits those flags."
	case len(v.Connections()) == 0:
		next = "Add a connection to the config first, or look around with --sandbox."
	}
	_, err := fmt.Fprintln(e.out, "No accounts.", next)
	return err
}

func ago(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return at(t)
}

func at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

type connectionsShow struct {
	Account string `arg:"" help:"Id or label."`
}

// Run prints all that is known of an account, but no token.
func (c *connectionsShow) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	a, err := findAccount(e, v, c.Account)
	if err != nil {
		return err
	}
	l := lineOf(a)
	if e.common.JSON {
		return e.printJSON(l)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", l.ID},
		{"connection", l.Connection + " (" + l.Provider + ")"},
		{"account", l.Label},
		{"owner", l.Owner},
		{"state", l.State},
		{"scopes", strings.Join(l.Scopes, "\n\t")},
		{"default", fmt.Sprint(l.Default)},
		{"granted by", l.GrantedBy},
		{"connected", ago(l.Created)},
		{"last refresh", ago(l.Refreshed)},
		{"last used", ago(l.Used)},
		{"last error", orNone(l.LastError)},
		{"next try", orNone(at(l.NextTry))},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	return w.Flush()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// findAccount looks among everybody's accounts: the operator's view.
func findAccount(e *env, v *vault.Vault, ref string) (vault.Account, error) {
	all, err := v.AllAccounts(e.ctx)
	if err != nil {
		return vault.Account{}, err
	}
	var found []vault.Account
	for _, a := range all {
		if a.ID == ref {
			return a, nil
		}
		if strings.EqualFold(a.Label, ref) {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return vault.Account{}, fmt.Errorf("there is no account %q; `grantry connections list` shows them", ref)
	case 1:
		return found[0], nil
	}
	return vault.Account{}, fmt.Errorf("%d accounts are labelled %q; name one by its id from `grantry connections list`", len(found), ref)
}

type connectionsConfirm struct {
	Name string `arg:"" help:"Connection, as the config names it."`
}

// Run is the operator's word that tokens may go where the config now sends them.
func (c *connectionsConfirm) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	if _, ok := v.Connection(c.Name); !ok {
		return unknownConnection(c.Name, v.Connections())
	}
	n, err := v.ConfirmConnection(e.ctx, c.Name)
	if err != nil {
		return err
	}
	if n == 0 {
		_, err = fmt.Fprintf(e.out, "Nothing to confirm: no account of %s was given for other addresses or another client.\n", c.Name)
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s of %s may be used with its new addresses.\n", counted(n, "account"), c.Name)
	return err
}
