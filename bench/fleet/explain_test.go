package fleet_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
)

// books is a vendor with one person, and those who talk to it.
type books struct {
	*fleet.Vendor
	t      *testing.T
	first  string            // refresh token
	tokens map[string]string // refresh token to the access token beside it
}

func newBooks(t *testing.T, p fleet.Policy) *books {
	t.Helper()
	v, err := fleet.NewVendor(fleet.VendorConfig{Policy: func(string) fleet.Policy { return p }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	b := &books{Vendor: v, t: t, tokens: map[string]string{}}
	b.first = b.post("", url.Values{"grant_type": {"authorization_code"}, "code": {fleet.Subject(0) + "~code"}})
	return b
}

// post answers a new refresh token, "" where there is none.
func (b *books) post(worker string, form url.Values) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.URL()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Bench-Worker", worker)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "" // the vendor has hung up
	}
	defer resp.Body.Close()
	var out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&out) // it may be cut
	b.tokens[out.Refresh] = out.Access
	return out.Refresh
}

// send refreshes as a process.
func (b *books) send(worker, refresh string) string {
	b.t.Helper()
	return b.post(worker, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

func (b *books) use(refresh string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.URL()+"/whoami", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.tokens[refresh])
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("using a token: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// The judge excuses a loss only where the successor cannot have been stored.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy fleet.Policy
		story  func(b *books)
		want   fleet.Cause
	}{
		"nothing happened":  {fleet.Policy{}, func(*books) {}, ""},
		"revoked by person": {fleet.Policy{}, func(b *books) { b.Revoke(fleet.Subject(0)) }, fleet.ByPerson},
		"killed at once": {fleet.Policy{}, func(b *books) {
			b.send("a", b.first)
			b.Ended("a")
			b.send("b", b.first)
		}, fleet.ByKill},
		"the sender lives": {fleet.Policy{}, func(b *books) {
			b.send("a", b.first)
			b.send("b", b.first)
		}, ""},
		"another was killed": {fleet.Policy{}, func(b *books) {
			b.send("a", b.first)
			b.Ended("b")
			b.send("b", b.first)
		}, ""},
		"killed after the token was shown": {fleet.Policy{}, func(b *books) {
			b.use(b.send("a", b.first))
			b.Ended("a")
			b.send("b", b.first)
		}, ""},
		"killed after the successor was sent": {fleet.Policy{Family: true}, func(b *books) {
			b.send("a", b.send("a", b.first))
			b.Ended("a")
			b.send("b", b.first)
		}, ""},
		"the answer was cut": {fleet.Policy{}, func(b *books) {
			b.Plan(fleet.Subject(0), fleet.Act{Answer: fleet.Cut})
			b.send("a", b.first)
			b.send("a", b.first)
		}, fleet.ByVendor},
		"within the grace nothing is lost": {fleet.Policy{Grace: time.Minute}, func(b *books) {
			b.send("a", b.first)
			b.Ended("a")
			b.send("b", b.first)
		}, ""},
		"after the grace": {fleet.Policy{Grace: time.Minute}, func(b *books) {
			b.send("a", b.first)
			b.Ended("a")
			b.Advance(2 * time.Minute)
			b.send("b", b.first)
		}, fleet.ByKill},
		"a token that was never issued so": {fleet.Policy{}, func(b *books) { b.send("a", "user0~rnothing") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t, tc.policy)
			tc.story(b)
			if v := b.Explain(fleet.Subject(0)); v.Cause != tc.want || v.Detail == "" {
				t.Errorf("verdict %+v, want %q", v, tc.want)
			}
		})
	}
}

// The books count what was sent and what was taken, and a new consent begins a new page.
func TestTruth(t *testing.T) {
	t.Parallel()
	b := newBooks(t, fleet.Policy{Grace: time.Minute, Family: true})
	b.send("a", b.send("a", b.first))
	b.send("b", b.first)
	if got, want := b.Truth(fleet.Subject(0)), (fleet.Truth{Refreshes: 3, Spent: 2, MostSends: 2}); got != want {
		t.Errorf("truth %+v, want %+v", got, want)
	}
	old := b.first
	b.first = b.post("", url.Values{"grant_type": {"authorization_code"}, "code": {fleet.Subject(0) + "~code"}})
	if b.send("a", old) != "" || b.send("a", b.first) == "" {
		t.Error("the vendor takes tokens of the consent before, or none of the new one")
	}
	if got, want := b.Truth(fleet.Subject(0)), (fleet.Truth{Refreshes: 1, Spent: 1, MostSends: 1}); got != want {
		t.Errorf("truth %+v, want %+v", got, want)
	}
}
