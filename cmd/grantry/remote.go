package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"strings"

	"github.com/grantry/grantry/vault"
)

// maxPaste is the longest line that is read: a vendor's address with a code in it is some hundred bytes.
const maxPaste = 16 << 10

// remote is a person at a terminal whose browser runs on another machine, while
// the pages of this vault answer on this machine only. Either a tunnel brings the
// pages to the browser, or this terminal stands in for it: it starts the visit to the
// vendor, and takes back the address that the browser could not open at its end.
type remote struct {
	*env
	vault    *vault.Vault
	person   vault.Person
	ticket   vault.Ticket
	redirect string // the vendor's way back

	session string
	started vault.Start // of the visit that this terminal began
}

// run says what to do and reads lines beside the wait. It answers the context of that wait.
func (r *remote) run(ctx context.Context, base string) context.Context {
	r.session = rand.Text()
	u, _ := url.Parse(base)
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
	}
	fmt.Fprintf(r.out, `It answers on this machine only. For a browser on another machine, run this there first, and leave it open:

  ssh -L %s:%s:%s %s

Without a tunnel: press Enter here for the vendor's own address.
Waiting until you are done…
`, port, u.Hostname(), port, here())
	lines := make(chan string)
	go read(ctx, r.env, lines)
	go r.answer(ctx, lines)
	return ctx
}

// here is this machine as an ssh client may know it.
func here() string {
	host, err := os.Hostname()
	if err != nil {
		host = "THIS-MACHINE"
	}
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return host
}

// read passes on what is typed, until there is no more. A read cannot be interrupted: it ends with the process.
func read(ctx context.Context, e *env, lines chan<- string) {
	defer close(lines)
	if e.in == nil {
		return
	}
	in := bufio.NewScanner(e.in)
	in.Buffer(nil, maxPaste)
	for in.Scan() {
		select {
		case lines <- strings.TrimSpace(in.Text()):
		case <-ctx.Done():
			return
		}
	}
}

func (r *remote) answer(ctx context.Context, lines <-chan string) {
	for {
		select {
		case line, more := <-lines:
			if !more {
				return
			}
			if problem := r.take(ctx, line); problem != "" {
				fmt.Fprintln(r.err, problem)
			}
		case <-ctx.Done():
			return
		}
	}
}

// take does what a line asks for: an empty one begins, another one is the address at the end. It answers what the person should know.
func (r *remote) take(ctx context.Context, line string) (problem string) {
	back, err := url.Parse(line)
	switch {
	case line == "":
		return r.begin(ctx)
	case err != nil || !strings.HasPrefix(line, r.redirect+"?"):
		return "That is not the address at which the vendor ends, which begins with " + r.redirect + "?. Copy it whole from the browser's address bar."
	case r.started.Cookie == "":
		return "That address is of another attempt. Press Enter for a new one."
	}
	return r.finish(ctx, back.Query())
}

// begin starts the visit that only this terminal can finish.
func (r *remote) begin(ctx context.Context) (problem string) {
	s, err := r.vault.Allow(ctx, vault.Answer{
		Handle: r.vault.Handle(r.ticket), Person: r.person, RedirectURI: r.redirect, Session: r.session,
	})
	if err != nil {
		return fmt.Sprintf("The visit cannot begin: %v. Press Enter to try again, or Ctrl-C to end.", err)
	}
	r.started = s
	fmt.Fprintf(r.out, `
Open this address in any browser within 10 minutes:

  %s

At the end that browser cannot open a page at %s.
Copy the whole address of that page, and paste it here:
`, s.AuthURL, r.redirect)
	return ""
}

func (r *remote) finish(ctx context.Context, q url.Values) (problem string) {
	_, _, err := r.vault.Finish(ctx, vault.Callback{
		Connection: r.redirect[strings.LastIndexByte(r.redirect, '/')+1:], State: q.Get("state"), Code: q.Get("code"),
		Iss: q.Get("iss"), Error: q.Get("error"), Cookie: r.started.Cookie, Session: r.session, Person: r.person,
	})
	fe := (*vault.FlowError)(nil)
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &fe):
		return fmt.Sprintf("It did not work: %v. Press Enter to try again.", err)
	case fe.Held:
		return fmt.Sprintf("The vendor answered for %s, and %s was expected. The link above asks whether that is right.", fe.Got, fe.Want)
	case fe.Failure == vault.FlowScopes:
		return "The vendor gave fewer permissions than are needed, so nothing was connected. Press Enter to try again, and leave all boxes ticked there."
	case fe.Failure == vault.FlowState:
		return "That address was used before, or is of another attempt. Press Enter for a new one."
	}
	return fmt.Sprintf("Nothing was connected (%s). Press Enter to try again.", fe.Failure)
}
