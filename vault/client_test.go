package vault_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

var cursor = vault.Agent{Issuer: "https://vault.example", ID: "dcr_1", Name: "Cursor", Host: "127.0.0.1"}

func clientRequest() vault.ClientRequest {
	return vault.ClientRequest{Scopes: []string{"tools:read"}, Offer: []string{"tools:write", "connections:manage"}, Redirect: "127.0.0.1", Local: true, Continue: "/oauth/authorize/x"}
}

// TestClientTicket: a client's request is answered by its owner alone, once, and in time.
func TestClientTicket(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	tk, err := b.OpenClientTicket(ctx, alice, cursor, clientRequest())
	if err != nil {
		t.Fatal(err)
	}
	shown, err := b.Ticket(ctx, b.Handle(tk))
	if err != nil || shown.Kind != vault.KindClient || shown.Client == nil || shown.Client.Redirect != "127.0.0.1" {
		t.Fatalf("the ticket reads %+v, %v", shown, err)
	}
	answer := vault.Answer{Handle: b.Handle(tk), Version: shown.Version, Person: bob}
	if _, err := b.AllowClient(ctx, answer); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("another person's yes: %v, want ErrForeign", err)
	}
	answer.Person, answer.Version = alice, shown.Version+1
	if _, err := b.AllowClient(ctx, answer); !errors.Is(err, vault.ErrStale) {
		t.Errorf("the yes of a page that shows another state: %v, want ErrStale", err)
	}
	answer.Version = shown.Version
	answer.Also = []string{"tools:write", "everything"}
	if done, err := b.AllowClient(ctx, answer); err != nil || done.State != vault.TicketDone || strings.Join(done.Client.Scopes, " ") != "tools:read tools:write" {
		t.Errorf("the owner's yes: %v with %v, %v; want what was asked for, and of the offer what they added", done.State, done.Client, err)
	}
	if _, err := b.AllowClient(ctx, answer); !errors.Is(err, vault.ErrGone) {
		t.Errorf("a second yes: %v, want ErrGone", err)
	}
	late, err := b.OpenClientTicket(ctx, alice, cursor, clientRequest())
	if err != nil || late.ID == tk.ID {
		t.Fatalf("the next request has the ticket %s, %v; want one of its own", late.ID, err)
	}
	b.clock.add(31 * time.Minute)
	if _, err := b.AllowClient(ctx, vault.Answer{Handle: b.Handle(late), Person: alice}); !errors.Is(err, vault.ErrGone) {
		t.Errorf("a yes after half an hour: %v, want ErrGone", err)
	}
	if _, err := b.AskAgain(ctx, b.Handle(late), alice); !errors.Is(err, vault.ErrGone) {
		t.Errorf("asking again for a client: %v, want ErrGone: it asks by itself", err)
	}
}

// TestRecordChange: of changes at the same time, on two replicas, none is lost, and a failed one leaves the value.
func TestRecordChange(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, second := replicas(t, place(t))
			ctx, all := t.Context(), sync.WaitGroup{}
			grow := func(old []byte) ([]byte, time.Duration, error) { return append(old, 'x'), time.Hour, nil }
			for i := range 20 {
				r := b.Records()
				if i%2 == 1 {
					r = second.Records()
				}
				all.Go(func() {
					if err := r.Change(ctx, "sum", "a", grow); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			no := errors.New("no")
			if err := second.Records().Change(ctx, "sum", "a", func([]byte) ([]byte, time.Duration, error) { return nil, 0, no }); !errors.Is(err, no) {
				t.Errorf("a refused change answers %v, want its own error", err)
			}
			if got, err := b.Records().Get(ctx, "sum", "a"); err != nil || string(got) != strings.Repeat("x", 20) {
				t.Errorf("after 20 changes the value is %q, %v", got, err)
			}
		})
	}
}
