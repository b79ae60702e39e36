package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G7: a refresh whose answer is lost again and again is sent once more after 2 s,
// once more later, and then ever more rarely; the count outlives the process, and no outage ends a grant.
func TestSendsAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.status = 500 })
	var pauses []time.Duration
	var phases []string
	v := b.Vault
	for i := range 7 {
		e := (*vault.ConsentError)(nil)
		if _, err := v.Exchange(t.Context(), request(alice, agent)); !errors.As(err, &e) || e.Reason != vault.ProviderUnreachable {
			t.Fatalf("exchange: %v", err)
		}
		pauses, phases = append(pauses, e.RetryAfter), append(phases, b.row(acc.ID).AttemptPhase)
		b.clock.add(31 * time.Minute)
		if i == 2 {
			v = b.open("p2")
		}
	}
	if want := []string{"sent 2", "sent 3", "sent 4", "sent 5", "sent 6", "sent 7", "sent 8"}; !slices.Equal(phases, want) {
		t.Errorf("phases %q", phases)
	}
	for i, least := range []time.Duration{30, 54, 108, 216, 432, 864, 1620} {
		if pauses[i] < least*time.Second || pauses[i] > 30*time.Minute {
			t.Errorf("pause %d is %v", i, pauses[i])
		}
	}
	b.vendor.set(func(v *vendor) { v.status = 0 })
	b.clock.add(31 * time.Minute)
	tok, err := v.Exchange(t.Context(), request(alice, agent))
	if g := b.row(acc.ID); err != nil || tok.Generation != 2 || g.AttemptPhase != "" || g.FailCount != 0 {
		t.Errorf("after the outage: %+v, %v, phase %q", tok, err, g.AttemptPhase)
	}
}

// G7: a request that timed out may still be at work, and a vendor that names a
// time knows better: neither is repeated after 2 s. Clean failures count as no send.
func TestNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fail  func(*vendor)
		phase string
		wait  time.Duration
	}{
		"timed out":         {func(v *vendor) { v.delay = 6 * time.Second }, "sent", 30 * time.Second},
		"Retry-After":       {func(v *vendor) { v.status, v.retry = 503, "120" }, "sent", 2 * time.Minute},
		"a long one":        {func(v *vendor) { v.status, v.retry = 503, "86400" }, "sent", time.Hour},
		"too many requests": {func(v *vendor) { v.status, v.retry = 429, "90" }, "sent", 90 * time.Second},
		"another refusal":   {func(v *vendor) { v.refuse = "invalid_request" }, "", 30 * time.Second},
		"nobody listens":    {func(v *vendor) { go v.srv.Close() }, "", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			b.clock.add(2 * time.Hour)
			before := b.vendor.requests()
			b.vendor.set(tc.fail)
			if name == "nobody listens" {
				time.Sleep(100 * time.Millisecond)
			}
			e := b.lack(request(alice, agent))
			if e.Reason != vault.ProviderUnreachable || e.RetryAfter < tc.wait || e.RetryAfter > tc.wait*11/10 {
				t.Errorf("lack = %+v", e)
			}
			if phase := b.row(acc.ID).AttemptPhase; phase != tc.phase || b.vendor.requests()-before > 1 {
				t.Errorf("phase %q, %d requests", phase, b.vendor.requests()-before)
			}
		})
	}
}

// A success that cannot be read is kept for the operator: sealed, and in no log.
func TestUnreadAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	if _, err := b.UnreadAnswer(t.Context(), acc.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.cut, v.grace = true, false })
	b.lack(request(alice, agent))
	s, err := b.UnreadAnswer(t.Context(), acc.ID)
	if err != nil || !strings.HasPrefix(s.Reveal(), `{"access_token":"at-canary-`) {
		t.Errorf("kept %d bytes, %v", len(s.Reveal()), err)
	}
	if strings.Contains(b.log.String(), "canary") || !strings.Contains(b.log.String(), "cannot be read") {
		t.Errorf("the log: %s", b.log)
	}
	b.clock.add(8 * 24 * time.Hour)
	if _, err := b.UnreadAnswer(t.Context(), acc.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("after a week: %v", err)
	}
}
