package mcp_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const calendarScope = "https://www.googleapis.com/auth/calendar.readonly"

// canary is the access token of every account of the fake vault; no client may see it.
const canary = "canary-access-token-77d1"

// fakeVault keeps accounts and tickets in memory, as vault.Vault promises to.
type fakeVault struct {
	t    testing.TB
	aead cipher.AEAD
	conn *provider.Connection

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change of a ticket
	accounts map[vault.Caller][]vault.Account
	tickets  []*vault.Ticket
	backOff  map[string]time.Time
	requests []vault.Request
	audited  []vault.Entry
	offered  []map[string]string
	lack     *vault.ConsentError // answered by every exchange when set
	err      error               // the same, of any kind
	recs     *fakeRecords
	ttl      time.Duration

	approvals []*fakeApproval
	standing  map[string]vault.Standing // by tool
	access    []vault.Access
	stopped   error // the answer to every request for a ticket
	flying    map[*context.CancelCauseFunc]bool
}

var _ mcp.Vault = (*fakeVault)(nil)

func newFakeVault(t testing.TB) *fakeVault {
	t.Helper()
	block, err := aes.NewCipher([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := provider.Catalog().Lookup("google")
	if !ok {
		t.Fatal("no google in the catalog")
	}
	conn, err := provider.NewConnection(provider.Registration{Name: "google", Provider: p, ClientID: "c", ClientSecret: provider.NewSecret("s")}, provider.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &fakeVault{
		t: t, aead: aead, conn: conn, changed: make(chan struct{}), ttl: time.Hour,
		accounts: map[vault.Caller][]vault.Account{}, backOff: map[string]time.Time{}, standing: map[string]vault.Standing{},
		flying: map[*context.CancelCauseFunc]bool{},
	}
}

func (f *fakeVault) ID() string { return "v1" }

func (f *fakeVault) Connections() []string { return []string{"google", "slack"} }

func (f *fakeVault) Pseudonym(vault.Caller) string { return "pseudonym" }

func (f *fakeVault) Handle(t vault.Ticket) string { return "handle-of-" + t.ID }

func (f *fakeVault) Accounts(_ context.Context, c vault.Caller) ([]vault.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.accounts[c]), nil
}

func (f *fakeVault) Audit(_ context.Context, e vault.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audited = append(f.audited, e)
	return nil
}

// Note writes each entry: that they are counted is the vault's.
func (f *fakeVault) Note(ctx context.Context, e vault.Entry) error { return f.Audit(ctx, e) }

func (f *fakeVault) MAC(label string, msg []byte) []byte {
	m := hmac.New(sha256.New, []byte(label))
	m.Write(msg)
	return m.Sum(nil)
}

func (f *fakeVault) ToolsOffered(_ context.Context, hashes map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offered = append(f.offered, hashes)
	return nil
}

func (f *fakeVault) Check(_ context.Context, r vault.Request) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.pick(r)
	return err
}

func (f *fakeVault) Exchange(_ context.Context, r vault.Request) (*vault.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	a, err := f.pick(r)
	if err == nil {
		err = f.spend(r, a)
	}
	if err != nil {
		return nil, err
	}
	return &vault.Token{Bearer: provider.Bearer{
		Token: provider.NewSecret(canary), Connection: f.conn, Account: a.Label, Grant: a.ID, Scopes: a.Scopes,
	}}, nil
}

// pick is called with mu held.
func (f *fakeVault) pick(r vault.Request) (vault.Account, error) {
	if f.err != nil {
		return vault.Account{}, f.err
	}
	if f.lack != nil {
		return vault.Account{}, f.lack
	}
	need := r.Needs[0]
	name := need.Connection
	if name == "" {
		name = need.Provider
	}
	for _, a := range f.accounts[r.Caller] {
		if a.Connection != name || r.Account != "" && r.Account != a.ID && r.Account != a.Label {
			continue
		}
		var missing []string
		for _, s := range need.Ask() {
			if !slices.Contains(a.Scopes, s) {
				missing = append(missing, s)
			}
		}
		if len(missing) == 0 {
			return a, nil
		}
		return a, &vault.ConsentError{Reason: vault.UnderScoped, Account: a.Label, Options: []vault.Option{{
			Connection: name, Scopes: need.Ask(), Missing: missing, Grant: a.ID, VendorNeeded: true,
		}}}
	}
	return vault.Account{}, &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{
		Connection: name, Scopes: need.Ask(), Missing: need.Ask(), VendorNeeded: true,
	}}}
}

func (f *fakeVault) OpenTicket(_ context.Context, r vault.TicketRequest) (vault.Ticket, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped != nil {
		return vault.Ticket{}, false, f.stopped
	}
	kind := vault.KindConnect
	if r.Need == nil {
		a, err := f.pick(r.Call)
		if err != nil {
			return vault.Ticket{}, false, err
		}
		kind, r.Need = vault.KindApprove, &vault.ConsentError{Reason: vault.ApprovalRequired, Options: []vault.Option{{Connection: a.Connection, Scopes: a.Scopes, Grant: a.ID}}}
	}
	o := r.Need.Options[0]
	if until := f.backOff[o.Connection]; time.Now().Before(until) {
		return vault.Ticket{}, false, &vault.BackOffError{Connection: o.Connection, Until: until}
	}
	for _, t := range f.tickets {
		f.expire(t)
		if !t.Over() && t.Owner.Caller == r.Owner.Caller && t.Agent.ID == r.Agent.ID && t.Options[0].Connection == o.Connection && slices.Equal(t.Options[0].Missing, o.Missing) && f.asksFor(t, r.Write) {
			return *t, false, nil
		}
	}
	t := &vault.Ticket{
		ID: fmt.Sprintf("t%d", len(f.tickets)+1), Kind: kind, Owner: r.Owner, Agent: r.Agent, Tool: r.Tool,
		Reason: r.Need.Reason, Options: r.Need.Options, State: vault.TicketOpen, Created: time.Now(), Expires: time.Now().Add(f.ttl),
	}
	f.tickets = append(f.tickets, t)
	f.askFor(t, r)
	return *t, true, nil
}

func (f *fakeVault) expire(t *vault.Ticket) {
	if !t.Over() && time.Now().After(t.Expires) {
		t.State = vault.TicketExpired
	}
}

func (f *fakeVault) TicketByID(_ context.Context, owner vault.Caller, id string) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tickets {
		if t.ID == id && t.Owner.Caller == owner {
			f.expire(t)
			return *t, nil
		}
	}
	return vault.Ticket{}, vault.ErrNotFound
}

func (f *fakeVault) AwaitTicket(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error) {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		t, err := f.TicketByID(ctx, owner, id)
		if err != nil || t.Over() {
			return t, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
}

func (f *fakeVault) BackOff(_ context.Context, _ vault.Caller, _ vault.Agent, connection string, cancel bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backOff[connection] = time.Now().Add(2 * time.Minute)
	if cancel {
		f.backOff[connection] = time.Now().Add(30 * time.Second)
	}
	return nil
}

func (f *fakeVault) SealState(purpose string, plaintext []byte) (string, error) {
	return base64.RawURLEncoding.EncodeToString(f.aead.Seal(nil, nil, plaintext, []byte(purpose))), nil
}

func (f *fakeVault) OpenState(purpose, sealed string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if strings.ContainsAny(sealed, "\r\n") {
		err = errors.New("more than base64")
	}
	if err == nil {
		raw, err = f.aead.Open(nil, nil, raw, []byte(purpose))
	}
	if err != nil {
		return nil, errors.Join(vault.ErrNotFound, err)
	}
	return raw, nil
}

// put moves the newest ticket of a connection to a state; when it is done, its owner has the account.
func (f *fakeVault) put(connection string, state vault.TicketState) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range slices.Backward(f.tickets) {
		if t.Options[0].Connection != connection {
			continue
		}
		if state == vault.TicketDone && t.Kind == vault.KindConnect {
			f.grant(t.Owner.Caller, connection, t.Options[0].Scopes...)
		}
		f.end(t, state, vault.ApproveOnce)
		return
	}
	f.t.Errorf("no ticket for %s", connection)
}

// end moves a ticket to a state, and its approval with it. Called with mu held.
func (f *fakeVault) end(t *vault.Ticket, state vault.TicketState, yes vault.ApproveFor) {
	t.State = state
	f.answer(t, yes)
	close(f.changed)
	f.changed = make(chan struct{})
}

// grant gives c an account at a connection. Called with mu held.
func (f *fakeVault) grant(c vault.Caller, connection string, scopes ...string) {
	own := slices.DeleteFunc(f.accounts[c], func(a vault.Account) bool { return a.Connection == connection })
	f.accounts[c] = append(own, vault.Account{
		ID: "g-" + connection + "-" + c.Subject, Connection: connection, Provider: connection, Label: c.Subject + "@example.com",
		Scopes: scopes, State: vault.GrantActive, Owner: vault.Person{Caller: c},
	})
}

// give is grant for tests.
func (f *fakeVault) give(c vault.Caller, connection string, scopes ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grant(c, connection, scopes...)
}

func (f *fakeVault) ticketCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tickets)
}

// entries are the audit entries of one kind.
func (f *fakeVault) entries(kind string) []vault.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.audited), func(e vault.Entry) bool { return e.Kind != kind })
}
