package consent_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantry/grantry/consent"
)

var codeForm = regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`)

// Codes are eight of twenty letters, each as likely as the others, and no two are the same.
func TestCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen, letters := map[string]bool{}, map[rune]int{}
	const n = 2000
	for range n {
		c, err := consent.NewSignInCode(t.Context(), w.vault, w.records, w.owner("alice"))
		if err != nil || !codeForm.MatchString(c.Code) || seen[c.Code] || seen[c.Path] || len(c.Path) != len("/signin/")+43 {
			t.Fatalf("%+v %v", c, err)
		}
		seen[c.Code], seen[c.Path] = true, true
		for _, l := range c.Code {
			letters[l]++
		}
	}
	for l, got := range letters { // 800 of each expected, with a deviation of 28
		if l != '-' && (got < 600 || got > 1000) {
			t.Errorf("%c came %d times of %d", l, got, n*8)
		}
	}
}

// What is stored under a code is not found by who has the store alone: the code is not its handle, nor is its hash.
func TestCodesAreStoredUnderAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := consent.Pairings{Vault: w.vault, Records: w.records}
	pairing, err := p.New(t.Context(), consent.Pairing{Connection: "google"})
	if err != nil {
		t.Fatal(err)
	}
	code, err := consent.NewSignInCode(t.Context(), w.vault, w.records, w.owner("alice"))
	if err != nil {
		t.Fatal(err)
	}
	for _, handle := range w.records.handles() {
		for _, c := range []string{pairing.Code, code.Code} {
			if plain := c[:4] + c[5:]; handle == plain || handle == c {
				t.Errorf("the code is a handle")
			}
		}
	}
}

// A pairing that nobody types ends by itself, and a terminal that stops waiting is told at once.
func TestPairingThatNobodyTypes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := &fakeRecords{now: time.Now, rows: map[string]fakeRecord{}}
		p := consent.Pairings{Vault: newFakeVault(time.Now), Records: records}
		made, err := p.New(t.Context(), consent.Pairing{Connection: "google", Machine: "laptop", From: "ada"})
		if err != nil || !codeForm.MatchString(made.Code) || made.ID == "" || !made.Expires.Equal(time.Now().Add(10*time.Minute)) {
			t.Fatalf("%+v %v", made, err)
		}
		start := time.Now()
		if _, err := p.Await(t.Context(), made); !errors.Is(err, consent.ErrPairingOver) {
			t.Errorf("after its time: %v", err)
		}
		if waited := time.Since(start); waited < 10*time.Minute || waited > 11*time.Minute {
			t.Errorf("waited %v", waited)
		}
		again, err := p.New(t.Context(), consent.Pairing{Connection: "google"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := p.Await(ctx, again); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped waiting: %v", err)
		}
	})
}
