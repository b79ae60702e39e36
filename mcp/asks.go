package mcp

import (
	"maps"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

// asks is what this process has shown of open tickets. Of calls that run at
// the same time one shows the link, the others wait.
type asks struct {
	maxWaiting int

	mu      sync.Mutex
	waiting int
	watched int
	byID    map[string]*asked    // by ticket id
	forms   map[string]time.Time // dialogs without an answer, by the name in their request state, and when they are over
}

// asked is one ticket whose link was given, or is about to be.
type asked struct {
	shown   time.Time       // zero while the first call gathers
	expires time.Time       // of the ticket
	opened  bool            // in the browser of this desktop
	dialog  bool            // a call waits for the answer in the client's dialog
	told    map[string]bool // sessions that are told when it is done
}

// turn is what a call does about a ticket.
type turn int

const (
	turnShow  turn = iota // it is the first: hold back shortly, then show the link
	turnWait              // another call that runs at the same time shows it
	turnAgain             // it was shown before this call began: the same link, at once
)

func newAsks(maxWaiting int) *asks {
	return &asks{maxWaiting: maxWaiting, byID: map[string]*asked{}, forms: map[string]time.Time{}}
}

func (a *asks) turn(t vault.Ticket, began, now time.Time) turn {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.byID[t.ID]
	if x == nil {
		for id, old := range a.byID {
			if now.After(old.expires) {
				delete(a.byID, id)
			}
		}
		a.byID[t.ID] = &asked{expires: t.Expires, told: map[string]bool{}}
		return turnShow
	}
	if x.shown.IsZero() || began.Before(x.shown) {
		return turnWait
	}
	return turnAgain
}

// show notes that the link is given now.
func (a *asks) show(id string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x := a.byID[id]; x != nil && x.shown.IsZero() {
		x.shown = now
	}
}

func (a *asks) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
}

// firstOpening says, once for each ticket, that the browser may be opened.
func (a *asks) firstOpening(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.byID[id]
	if x == nil || x.opened {
		return false
	}
	x.opened = true
	return true
}

// firstTelling says, once for each ticket and session, that the session may be told of the end.
func (a *asks) firstTelling(id, session string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.byID[id]
	if x == nil || x.told[session] || a.watched >= maxWatched {
		return false
	}
	x.told[session] = true
	a.watched++
	return true
}

func (a *asks) endTelling() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watched--
}

// enter takes one of the places for waiting calls, false when there is none.
func (a *asks) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting >= a.maxWaiting {
		return false
	}
	a.waiting++
	return true
}

func (a *asks) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting--
}

// dialog notes that a call waits, or waits no longer, for the answer in the client's dialog.
func (a *asks) dialog(id string, open bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x := a.byID[id]; x != nil {
		x.dialog = open
	}
}

func (a *asks) inDialog(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.byID[id]
	return x != nil && x.dialog
}

// openForm notes a dialog that a modern client shows.
func (a *asks) openForm(name string, expires, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.forms, func(_ string, end time.Time) bool { return now.After(end) })
	a.forms[name] = expires
}

// takeForm says, once for each dialog, that its answer counts: one that was
// closed or answered before is over.
func (a *asks) takeForm(name string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	expires, open := a.forms[name]
	delete(a.forms, name)
	return open && !now.After(expires)
}
