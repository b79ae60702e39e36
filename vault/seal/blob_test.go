package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/seal"
	"pgregory.net/rapid"
)

func place() seal.Place {
	return seal.Place{
		Tenant: "tenant", Subject: "alice", Table: "grants", Column: "refresh_ct", Row: "row1",
		Generation: 3, Connection: "google", Destination: []byte{1, 2, 3},
	}
}

func TestOpenElsewhere(t *testing.T) {
	t.Parallel()
	dek, _ := newDEK(t, newTree(t, newKey(t)))
	canary := "1//refresh-canary"
	blob, err := dek.Seal(place(), []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	for name, move := range map[string]func(*seal.Place){
		"tenant":            func(p *seal.Place) { p.Tenant = "other" },
		"subject":           func(p *seal.Place) { p.Subject = "bob" },
		"table":             func(p *seal.Place) { p.Table = "records" },
		"column":            func(p *seal.Place) { p.Column = "alt_ct" },
		"row":               func(p *seal.Place) { p.Row = "row2" },
		"next generation":   func(p *seal.Place) { p.Generation++ },
		"generation before": func(p *seal.Place) { p.Generation-- },
		"connection":        func(p *seal.Place) { p.Connection = "work" },
		"destination":       func(p *seal.Place) { p.Destination = []byte{1, 2, 4} },
		"no destination":    func(p *seal.Place) { p.Destination = nil },
		"moved border":      func(p *seal.Place) { p.Table, p.Column = "grantsr", "efresh_ct" },
	} {
		elsewhere := place()
		move(&elsewhere)
		plain, err := dek.Open(elsewhere, blob)
		if !errors.Is(err, seal.ErrOpen) || plain != nil {
			t.Errorf("%s: %q, %v; want ErrOpen", name, plain, err)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error shows the plaintext: %v", name, err)
		}
	}
}

func TestOpenSwappedBetweenUsers(t *testing.T) {
	t.Parallel()
	tree := newTree(t, newKey(t))
	alice, _ := newDEK(t, tree)
	bob, _ := newDEK(t, tree)
	blob, err := alice.Seal(place(), []byte("alice's"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Open(place(), blob); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("bob's key: %v, want ErrOpen", err)
	}
	bobs := bob.ID()
	forged := append(append(bytes.Clone(blob[:2]), bobs[:]...), blob[18:]...)
	if _, err := bob.Open(place(), forged); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("bob's key with a forged id: %v, want ErrOpen", err)
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	dek, _ := newDEK(t, newTree(t, newKey(t)))
	a, err := dek.Seal(place(), []byte("same"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := dek.Seal(place(), []byte("same"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("the same plaintext gives the same blob twice")
	}
	if len(a) != len("same")+seal.Overhead || seal.Overhead != 46 {
		t.Errorf("blob has %d bytes, overhead is %d", len(a), seal.Overhead)
	}
	if id, err := seal.BlobDEK(a); err != nil || id != dek.ID() {
		t.Errorf("BlobDEK = %s, %v; want %s", id, err, dek.ID())
	}
	if _, err := dek.Seal(seal.Place{Row: "row1"}, nil); err == nil {
		t.Error("a place without table and column was accepted")
	}
}

// genPlace draws small places, so that neighbours that differ in a border only are likely.
func genPlace() *rapid.Generator[seal.Place] {
	text := rapid.StringMatching(`[ab\x00]{0,3}`)
	name := rapid.StringMatching(`[ab]{1,3}`)
	return rapid.Custom(func(t *rapid.T) seal.Place {
		return seal.Place{
			Tenant: text.Draw(t, "tenant"), Subject: text.Draw(t, "subject"),
			Table: name.Draw(t, "table"), Column: name.Draw(t, "column"), Row: text.Draw(t, "row"),
			Generation:  rapid.Uint64Range(0, 3).Draw(t, "generation"),
			Connection:  text.Draw(t, "connection"),
			Destination: rapid.SliceOfN(rapid.ByteRange(0, 1), 0, 2).Draw(t, "destination"),
		}
	})
}

func samePlace(a, b seal.Place) bool {
	same := bytes.Equal(a.Destination, b.Destination)
	return same && a.Tenant == b.Tenant && a.Subject == b.Subject && a.Table == b.Table && a.Column == b.Column &&
		a.Row == b.Row && a.Generation == b.Generation && a.Connection == b.Connection
}

func TestOpenOnlyWhatWasSealedHere(t *testing.T) {
	t.Parallel()
	dek, _ := newDEK(t, newTree(t, newKey(t)))
	rapid.Check(t, func(t *rapid.T) {
		here, there := genPlace().Draw(t, "here"), genPlace().Draw(t, "there")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		blob, err := dek.Seal(here, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := dek.Open(here, blob); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open here = %x, %v; want %x", got, err, plain)
		}
		if _, err := dek.Open(there, blob); samePlace(here, there) != (err == nil) || (err != nil && !errors.Is(err, seal.ErrOpen)) {
			t.Fatalf("Open there: %v", err)
		}
		bad := bytes.Clone(blob)
		bit := rapid.IntRange(0, len(bad)*8-1).Draw(t, "bit")
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := dek.Open(here, bad); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("bit %d flipped: %v, want ErrOpen", bit, err)
		}
		if _, err := dek.Open(here, blob[:rapid.IntRange(0, len(blob)-1).Draw(t, "cut")]); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("cut: %v, want ErrOpen", err)
		}
	})
}
