package consent_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

// fakeVault keeps the vault's word on tickets, flows and accounts in memory. Its vendor is a counter.
type fakeVault struct {
	mu        sync.Mutex
	now       func() time.Time
	n         int
	tickets   map[string]vault.Ticket // by handle
	flows     map[string]fakeFlow     // by state
	accounts  []vault.Account
	access    []vault.Access
	entries   []vault.Entry
	auditErr  error             // of every entry
	redeemed  int               // codes that went to the vendor
	answers   []vault.Answer    // of Allow
	fail      *vault.FlowError  // what Finish answers once the checks have passed
	allowErr  error             // what Allow answers
	openErr   error             // what OpenTicket answers
	callbacks []vault.Callback  // that Finish got
	names     []string          // configured connections
	owners    map[string]string // account id → subject of its owner
	approvals map[string]vault.Approval
	agents    []vault.KnownAgent
	limits    func(*vault.Ticket, *vault.Account) // of what Finish answers
	fakeControl
}

type fakeFlow struct {
	handle, connection, cookie, session string
	owner                               vault.Caller
	once                                bool
}

func newFakeVault(now func() time.Time) *fakeVault {
	return &fakeVault{
		now: now, tickets: map[string]vault.Ticket{}, flows: map[string]fakeFlow{}, owners: map[string]string{}, approvals: map[string]vault.Approval{},
		names: []string{"google", "slack"},
	}
}

// add stores a ticket and answers its handle.
func (f *fakeVault) add(t vault.Ticket) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addLocked(t)
}

func (f *fakeVault) addLocked(t vault.Ticket) string {
	f.n++
	t.ID, t.Version = fmt.Sprintf("t_%d", f.n), 1
	if t.State == "" {
		t.State = vault.TicketOpen
	}
	if t.Created.IsZero() {
		t.Created = f.now().Add(-2 * time.Minute)
	}
	f.tickets[f.Handle(t)] = t
	return f.Handle(t)
}

func (f *fakeVault) ticket(handle string) vault.Ticket {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tickets[handle]
}

func (f *fakeVault) set(handle string, change func(*vault.Ticket)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tickets[handle]
	change(&t)
	t.Version++
	f.tickets[handle] = t
}

func (f *fakeVault) Handle(t vault.Ticket) string { return "handle-abcdefghijklmnopqr-" + t.ID }

func (f *fakeVault) Ticket(_ context.Context, handle string) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.tickets[handle]
	if !ok {
		return t, vault.ErrNotFound
	}
	return t, nil
}

func (f *fakeVault) Tickets(_ context.Context, owner vault.Caller) (out []vault.Ticket, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tickets {
		if t.Owner.Caller == owner && !t.Over() {
			out = append(out, t)
		}
	}
	return out, nil
}

func (f *fakeVault) TicketByID(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error) {
	t, err := f.Ticket(ctx, f.Handle(vault.Ticket{ID: id}))
	if err == nil && t.Owner.Caller != owner {
		return vault.Ticket{}, vault.ErrNotFound
	}
	return t, err
}

func (f *fakeVault) OpenTicket(_ context.Context, r vault.TicketRequest) (vault.Ticket, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.openErr != nil {
		return vault.Ticket{}, false, f.openErr
	}
	h := f.addLocked(vault.Ticket{Kind: vault.KindConnect, Owner: r.Owner, Agent: r.Agent, Tool: r.Tool, Reason: r.Need.Reason, Options: r.Need.Options})
	return f.tickets[h], true, nil
}

func (f *fakeVault) answerable(handle string, p vault.Person) (vault.Ticket, error) {
	t, ok := f.tickets[handle]
	switch {
	case !ok:
		return t, vault.ErrNotFound
	case t.Owner.Caller != p.Caller:
		return t, vault.ErrForeign
	case t.Over():
		return t, vault.ErrGone
	}
	return t, nil
}

func (f *fakeVault) Allow(_ context.Context, a vault.Answer) (vault.Start, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append(f.answers, a)
	t, err := f.answerable(a.Handle, a.Person)
	if err == nil {
		err = f.allowErr
	}
	if err == nil && a.Version != t.Version {
		err = vault.ErrStale
	}
	if err != nil {
		return vault.Start{}, err
	}
	i := slices.IndexFunc(t.Options, func(o vault.Option) bool { return o.Connection == a.Connection })
	t.Version++
	if !t.Options[i].VendorNeeded {
		t.State, t.Grant, t.Once = vault.TicketDone, t.Options[i].Grant, a.Once
		f.tickets[a.Handle] = t
		return vault.Start{Ticket: t}, nil
	}
	f.n++
	state, cookie := fmt.Sprintf("state+%d/&=\"<", f.n), fmt.Sprintf("cookie%d", f.n)
	f.flows[state] = fakeFlow{handle: a.Handle, connection: a.Connection, cookie: cookie, session: a.Session, owner: t.Owner.Caller, once: a.Once}
	t.State = vault.TicketStarted
	f.tickets[a.Handle] = t
	return vault.Start{Ticket: t, AuthURL: "https://vendor.example/authorize?" + encode("state", state, "scope", "a b"), Cookie: cookie}, nil
}

func (f *fakeVault) Decline(_ context.Context, handle string, p vault.Person) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.answerable(handle, p)
	if err == nil {
		t.State = vault.TicketDeclined
		f.tickets[handle] = t
	}
	return t, err
}

func (f *fakeVault) AskAgain(_ context.Context, handle string, p vault.Person) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tickets[handle]
	if t.Owner.Caller != p.Caller {
		return t, vault.ErrForeign
	}
	t.State = vault.TicketOpen
	return f.tickets[f.addLocked(t)], nil
}

func (f *fakeVault) Finish(_ context.Context, c vault.Callback) (vault.Ticket, vault.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.callbacks = append(f.callbacks, c)
	fl, ok := f.flows[c.State]
	if !ok || fl.connection != c.Connection {
		return vault.Ticket{}, vault.Account{}, &vault.FlowError{Failure: vault.FlowState}
	}
	if fl.cookie != c.Cookie || fl.session != c.Session || fl.owner != c.Person.Caller {
		return vault.Ticket{}, vault.Account{}, &vault.FlowError{Failure: vault.FlowBrowser}
	}
	delete(f.flows, c.State)
	t := f.tickets[fl.handle]
	if f.fail != nil {
		fe := *f.fail
		fe.Connection, fe.Ticket = fl.connection, t.ID
		return vault.Ticket{}, vault.Account{}, &fe
	}
	f.redeemed++
	a := vault.Account{ID: "grant-new", Connection: fl.connection, Label: "me@vendor.example", State: vault.GrantActive, Owner: c.Person}
	f.accounts, f.owners[a.ID] = append(f.accounts, a), fl.owner.Subject
	t.State, t.Grant, t.Once = vault.TicketDone, a.ID, fl.once
	if f.limits != nil {
		f.limits(&t, &a)
	}
	f.tickets[fl.handle] = t
	return t, a, nil
}

func (f *fakeVault) FlowOwner(_ context.Context, connection, state string) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl, ok := f.flows[state]
	if !ok || fl.connection != connection {
		return vault.Ticket{}, vault.ErrNotFound
	}
	return f.tickets[fl.handle], nil
}

func (f *fakeVault) Accounts(_ context.Context, c vault.Caller) (out []vault.Account, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.accounts {
		if f.owners[a.ID] == c.Subject {
			out = append(out, a)
		}
	}
	return out, nil
}

func (f *fakeVault) Account(ctx context.Context, c vault.Caller, ref string) (vault.Account, error) {
	all, _ := f.Accounts(ctx, c)
	for _, a := range all {
		if a.ID == ref || a.Label == ref {
			return a, nil
		}
	}
	return vault.Account{}, vault.ErrNotFound
}

func (f *fakeVault) SetDefault(_ context.Context, _ vault.Caller, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.accounts {
		f.accounts[i].Default = f.accounts[i].ID == id
	}
	return nil
}

func (f *fakeVault) Connections() []string { return f.names }

func (f *fakeVault) MAC(label string, msg []byte) []byte {
	m := hmac.New(sha256.New, []byte("test key "+label))
	m.Write(msg)
	return m.Sum(nil)
}

func (f *fakeVault) Pseudonym(c vault.Caller) string {
	return fmt.Sprintf("%x", f.MAC("p", []byte(c.Subject)))[:8]
}

func (f *fakeVault) AwaitTicket(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error) {
	for {
		t, err := f.TicketByID(ctx, owner, id)
		if err != nil || t.Over() {
			return t, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
}

// Note writes each entry: that they are counted is the vault's.
func (f *fakeVault) Note(ctx context.Context, e vault.Entry) error { return f.Audit(ctx, e) }

func (f *fakeVault) Audit(_ context.Context, e vault.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.auditErr != nil {
		return f.auditErr
	}
	f.entries = append(f.entries, e)
	return nil
}

// fakeRecords are vault.Records in memory.
type fakeRecords struct {
	mu   sync.Mutex
	now  func() time.Time
	rows map[string]fakeRecord
	puts int
}

type fakeRecord struct {
	value []byte
	until time.Time
}

func (r *fakeRecords) Put(_ context.Context, kind, handle string, _ vault.Caller, value []byte, ttl time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.puts++
	r.rows[kind+" "+handle] = fakeRecord{value: slices.Clone(value), until: r.now().Add(ttl)}
	return nil
}

func (r *fakeRecords) Get(_ context.Context, kind, handle string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[kind+" "+handle]
	if !ok || r.now().After(row.until) {
		return nil, vault.ErrNotFound
	}
	return row.value, nil
}

func (r *fakeRecords) Take(ctx context.Context, kind, handle string) ([]byte, error) {
	b, err := r.Get(ctx, kind, handle)
	if err == nil {
		err = r.Delete(ctx, kind, handle)
	}
	return b, err
}

func (r *fakeRecords) Delete(_ context.Context, kind, handle string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rows, kind+" "+handle)
	return nil
}

func (r *fakeRecords) Change(ctx context.Context, kind, handle string, fn func(old []byte) ([]byte, time.Duration, error)) error {
	old, err := r.Get(ctx, kind, handle)
	if err != nil {
		old = nil
	}
	value, ttl, err := fn(old)
	if err != nil {
		return err
	}
	return r.Put(ctx, kind, handle, vault.Caller{}, value, ttl)
}

func (r *fakeRecords) handles() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.rows {
		_, handle, _ := strings.Cut(key, " ")
		out = append(out, handle)
	}
	return out
}

func (r *fakeRecords) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.puts
}

// kind are the audit entries of one kind.
func (f *fakeVault) kind(kind string) []vault.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.entries), func(e vault.Entry) bool { return e.Kind != kind })
}
