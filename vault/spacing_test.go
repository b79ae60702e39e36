package vault_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G10: a vendor that says "one second" is asked every 30 s at most, and serves meanwhile; a 401 still forces a refresh at once.
func TestShortLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.life = 1 })
	b.connect(alice, agent)
	before := b.vendor.requests()
	var last *vault.Token
	for range 120 { // a call each second, for two minutes
		b.clock.add(time.Second)
		last = b.token(request(alice, agent))
	}
	if n := b.vendor.requests() - before; n < 3 || n > 4 {
		t.Errorf("%d refreshes in two minutes", n)
	}
	r := request(alice, agent)
	r.Stale = &last.Bearer
	if tok := b.token(r); tok.Generation != last.Generation+1 {
		t.Errorf("after a 401: generation %d", tok.Generation)
	}
}

// G7, G10: a vendor that is down for a day is asked ever more rarely, never twice at once, and the grant survives.
func TestBreaker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.status = 503 })
	before := b.vendor.requests()
	for range 24 * 12 {
		b.clock.add(5 * time.Minute)
		if e := b.lack(request(alice, agent)); e.Reason != vault.ProviderUnreachable || e.RetryAfter <= 0 || e.RetryAfter > 30*time.Minute {
			t.Fatalf("lack = %+v", e)
		}
	}
	if n := b.vendor.requests() - before; n > 70 {
		t.Errorf("%d requests in a day", n)
	}
	b.vendor.set(func(v *vendor) { v.status = 0 })
	b.clock.add(31 * time.Minute)
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.row(acc.ID).FailCount != 0 {
		t.Errorf("generation %d", tok.Generation)
	}
}

// G7: where the vendor has spent the token and its answer was lost, there are at
// most two more sends, never at once, and then it is a person's matter.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*vendor){
		"truncated 200":      func(v *vendor) { v.cut = true },
		"500 after rotating": func(v *vendor) { v.status, v.live = 500, "another" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.connect(alice, agent)
			b.clock.add(2 * time.Hour)
			b.vendor.set(lose)
			other := b.open("p2")
			before := b.vendor.requests()
			reason := vault.ProviderUnreachable
			for range 20 {
				done := make(chan struct{})
				go func() { _, _ = other.Exchange(t.Context(), request(alice, agent)); close(done) }()
				reason = b.lack(request(alice, agent)).Reason
				<-done
				b.clock.add(10 * time.Second)
				b.vendor.set(func(v *vendor) { v.status = 0 })
			}
			b.vendor.set(func(v *vendor) {
				if n := v.tokens - before; n > 3 || v.parallel > 1 || reason != vault.Revoked {
					t.Errorf("%d sends, %d at once, then %s", n, v.parallel, reason)
				}
			})
		})
	}
}

// A clock that was set back holds nothing up: neither a lease nor a back-off of the future.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(48 * time.Hour)
	b.vendor.set(func(v *vendor) { v.status = 503 })
	b.lack(request(alice, agent))
	b.vendor.set(func(v *vendor) { v.status = 0 })
	b.clock.add(-24 * time.Hour)
	if tok := b.token(request(alice, agent)); tok.Generation != 2 {
		t.Errorf("generation %d", tok.Generation)
	}
	b.clock.add(48 * time.Hour)
	err := b.store.Update(t.Context(), func(tx vault.Tx) error {
		g, now := b.row(acc.ID), vault.Millis(b.clock.Now())
		return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, vault.Lease{Owner: "frozen", Seq: g.LeaseSeq + 1, Until: now + 30000, AttemptAt: now, Phase: "sent"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.add(-24 * time.Hour)
	if tok := b.token(request(alice, agent)); tok.Generation != 3 {
		t.Errorf("generation %d", tok.Generation)
	}
}

// R17: every authorization has its own S256 challenge, whose verifier, redirect
// URI and person are those of the flow and of no other.
func TestChallengePerFlow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	seen := map[string]bool{}
	for range 3 {
		s, err := b.Allow(t.Context(), answer(b, tk, alice))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(s.AuthURL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || seen[q.Get("code_challenge")] || seen[q.Get("state")] {
			t.Fatalf("authorization URL %s", s.AuthURL)
		}
		seen[q.Get("code_challenge")], seen[q.Get("state")] = true, true
		wrong := callback(t, s, bob)
		if e := b.failure(wrong); e.Failure != vault.FlowBrowser {
			t.Errorf("another person: %s", e.Failure)
		}
		if len(seen) < 6 {
			continue
		}
		if _, _, err := b.Finish(t.Context(), callback(t, s, alice)); err != nil {
			t.Fatal(err)
		}
		b.vendor.set(func(v *vendor) {
			sum := sha256.Sum256([]byte(v.verifier))
			if n := len(v.verifier); n < 43 || n > 128 || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") {
				t.Errorf("a verifier of %d characters that does not fit the challenge", n)
			}
			if v.redirect != redirect || q.Get("redirect_uri") != redirect {
				t.Errorf("redirect URI %q, then %q", q.Get("redirect_uri"), v.redirect)
			}
		})
	}
}
