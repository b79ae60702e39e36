package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
)

type usersCmd struct {
	List   usersList   `cmd:"" help:"All people of this vault."`
	Show   usersShow   `cmd:"" help:"One person: accounts, what agents may use, how much the audit holds."`
	Delete usersDelete `cmd:"" help:"Revoke a person's grants at their vendors, then shred all that is held of them."`
}

// userLine is a person as --json prints it.
type userLine struct {
	User     string     `json:"user"`
	Issuer   string     `json:"issuer"`
	Subject  string     `json:"subject"`
	Email    string     `json:"email"`
	Name     string     `json:"name"`
	Accounts int        `json:"accounts"`
	Created  *time.Time `json:"created"`
	Used     *time.Time `json:"last_used"`
}

func userLineOf(u vault.User) userLine {
	p := u.Person
	return userLine{
		User: u.Key, Issuer: p.Issuer, Subject: p.Subject, Email: p.Email, Name: p.Name, Accounts: u.Accounts,
		Created: when(u.Created), Used: when(u.Used),
	}
}

// label is what a person is called, and their pseudonym where nothing else is known.
func (l userLine) label() string {
	for _, s := range []string{l.Email, l.Name, l.Subject} {
		if s != "" {
			return s
		}
	}
	return l.User
}

type usersList struct{}

// Run prints a line per person.
func (*usersList) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	all, err := v.Users(e.ctx)
	if err != nil {
		return err
	}
	lines := make([]userLine, len(all))
	for i, u := range all {
		lines[i] = userLineOf(u)
	}
	switch {
	case e.common.JSON:
		return e.printJSON(lines)
	case len(lines) == 0:
		_, err := fmt.Fprintln(e.out, "No users yet. One is made when somebody connects an account.")
		return err
	}
	return e.printUsers(lines)
}

func (e *env) printUsers(lines []userLine) error {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tPERSON\tSUBJECT\tACCOUNTS\tLAST USED\tCREATED")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", l.User, l.label(), l.Subject, l.Accounts, ago(l.Used), at(l.Created))
	}
	return w.Flush()
}

// user opens the vault and answers the one person that who names.
func (e *env) user(who string) (v *vault.Vault, d vault.UserDetail, err error) {
	if v, err = e.vault(); err != nil {
		return nil, d, err
	}
	found, err := v.FindUsers(e.ctx, who)
	switch {
	case err != nil:
		return nil, d, err
	case len(found) == 0:
		return nil, d, fmt.Errorf("there is no user %q; `grantry users list` shows them", who)
	case len(found) == 1:
		d, err = v.User(e.ctx, found[0].Key)
		return v, d, err
	}
	keys := make([]string, len(found))
	for i, u := range found {
		keys[i] = fmt.Sprintf("%s (%s at %s)", u.Key, userLineOf(u).label(), u.Person.Issuer)
	}
	return nil, d, fmt.Errorf("%d users are called %q; name one by its first column: %s", len(found), who, strings.Join(keys, ", "))
}

type usersShow struct {
	Who string `arg:"" help:"E-mail, subject, or the user's pseudonym."`
}

// accessLine is what an agent may use, as --json prints it.
type accessLine struct {
	Agent   string     `json:"agent"`
	Account string     `json:"account"`
	Scopes  []string   `json:"scopes"`
	Expires *time.Time `json:"expires"`
	Used    *time.Time `json:"last_used"`
}

// Run prints all that is known of a person, but no token.
func (c *usersShow) Run(e *env) error {
	_, d, err := e.user(c.Who)
	if err != nil {
		return err
	}
	out := struct {
		userLine
		Accounts []accountLine `json:"accounts"`
		Access   []accessLine  `json:"access"`
		Audit    int           `json:"audit_entries"`
	}{userLineOf(d.User), []accountLine{}, []accessLine{}, d.Audit}
	for _, a := range d.Accounts {
		out.Accounts = append(out.Accounts, lineOf(a))
	}
	for _, a := range d.Access {
		out.Access = append(out.Access, accessLine{a.Agent.Label(), a.Account, a.Scopes, when(a.Expires), when(a.Used)})
	}
	if e.common.JSON {
		return e.printJSON(out)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	for _, row := range [][2]string{
		{"user", out.User},
		{"person", out.label()},
		{"signs in at", out.Issuer},
		{"subject", out.Subject},
		{"created", at(out.Created)},
		{"last used", ago(out.Used)},
		{"audit entries", fmt.Sprint(out.Audit)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	for _, a := range out.Accounts {
		fmt.Fprintf(w, "account\t%s: %s at %s, %s\n", a.ID, a.Label, a.Connection, a.State)
	}
	for _, a := range out.Access {
		fmt.Fprintf(w, "access\t%s may use %s until %s\n", a.Agent, a.Account, at(a.Expires))
	}
	return w.Flush()
}

type usersDelete struct {
	Who    string `arg:"" help:"E-mail, subject, or the user's pseudonym."`
	Yes    bool   `help:"Do not ask."`
	DryRun bool   `help:"Only say what would be deleted."`
}

// Run asks, revokes and shreds.
func (c *usersDelete) Run(e *env) error {
	v, d, err := e.user(c.Who)
	if err != nil {
		return err
	}
	name := userLineOf(d.User).label()
	what := fmt.Sprintf("%s (%s): %s, what %s may use, and every key that seals them", name, d.Key, counted(len(d.Accounts), "account"), counted(len(d.Access), "agent"))
	if c.DryRun {
		_, err := fmt.Fprintf(e.out, "would delete %s; %s stay, under the pseudonym\n", what, counted(d.Audit, "line of the audit"))
		return err
	}
	if err := c.sure(e, what); err != nil {
		return err
	}
	if err := e.app.Vendors(); err != nil {
		return err
	}
	done, err := v.DeleteUser(e.ctx, d.Key)
	if err != nil {
		return fmt.Errorf("%w; run the command again: what is done already stays done", err)
	}
	return sayDeleted(e, name, done)
}

// sure asks on a terminal; elsewhere only --yes is a yes.
func (c *usersDelete) sure(e *env, what string) error {
	if c.Yes {
		return nil
	}
	f, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor fits
		return &app.UsageError{Text: "this cannot be taken back: add --yes, or --dry-run to see what would go"}
	}
	fmt.Fprintf(e.err, "This deletes %s. It cannot be taken back.\nType yes to go on: ", what)
	answer, err := bufio.NewReader(f).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return errors.Join(errors.New("nothing was deleted"), err)
	}
	return nil
}

func sayDeleted(e *env, name string, d vault.Deletion) error {
	fmt.Fprintf(e.out, "deleted %s: %s revoked at the vendor", name, counted(d.Revoked, "grant"))
	if d.Silent > 0 {
		fmt.Fprintf(e.out, ", %d ended here only (nothing to tell the vendor)", d.Silent)
	}
	fmt.Fprintln(e.out)
	if d.Pending > 0 {
		fmt.Fprintf(e.out, "%s could not be revoked at the vendor yet: a running `grantry serve` or `stdio` asks again for 7 days; only the tokens for that are kept until then\n", counted(d.Pending, "grant"))
	}
	if d.OnDisk != nil {
		fmt.Fprintf(e.out, "The keys that sealed this are deleted, so nothing of it opens any more; but not all of its bytes have left the database's files yet: %v. They go when no other process reads the vault and it is next closed; on a server, with VACUUM and its log's retention.\n", d.OnDisk)
	}
	_, err := fmt.Fprintln(e.out, "Older backups still hold it, sealed: delete them when their time is over (docs/backup.md).")
	return err
}
