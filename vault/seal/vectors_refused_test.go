package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

// refusedLine is no line of a key file.
type refusedLine struct {
	Why  string `json:"why"`
	Line string `json:"line"`
}

// refusedDEK is a wrapped key that does not open with these four.
type refusedDEK struct {
	Why     string `json:"why"`
	Tenant  string `json:"tenant"`
	Subject string `json:"subject"`
	ID      octets `json:"id"`
	Wrapped octets `json:"wrapped"`
}

// refusedBlob is a blob that does not open at its place under its data key.
type refusedBlob struct {
	Why string `json:"why"`
	blobVector
}

// unknownKey is the reason that has an error of its own: the KEK is not at hand.
const unknownKey = "KEK id"

func checkRefused(t *testing.T, v vectors, tree *seal.Tree, deks []*seal.DEK) {
	t.Helper()
	for _, l := range v.Lines {
		if _, err := seal.ParseKey(l.Line); err == nil {
			t.Errorf("line, %s: accepted", l.Why)
		}
	}
	for _, d := range v.NoDEKs {
		_, err := tree.OpenDEK(d.Tenant, d.Subject, seal.DEKID(d.ID), d.Wrapped)
		var unknown *seal.UnknownKeyError
		if d.Why == unknownKey && !errors.As(err, &unknown) || d.Why != unknownKey && !errors.Is(err, seal.ErrOpen) {
			t.Errorf("wrapped key, %s: %v, want a refusal", d.Why, err)
		}
	}
	for _, b := range v.NoBlobs {
		if plain, err := deks[b.DEK].Open(b.place(), b.Blob); !errors.Is(err, seal.ErrOpen) || plain != nil {
			t.Errorf("blob, %s: %x, %v, want ErrOpen", b.Why, plain, err)
		}
	}
}

func refusedLines(kek kekVector) []refusedLine {
	line := strings.TrimRight(kek.Line, "=")
	return []refusedLine{
		{"31 bytes", line[:42]},
		{"33 bytes", line + "A"},
		{"nothing", ""},
		{"a comment", "# " + kek.Line},
		{"URL alphabet", strings.NewReplacer("+", "-", "/", "_").Replace(kek.Line)},
		{"loose last bits", line[:42] + "1"},
		{"hexadecimal", strings.Repeat("0a", 32)},
		{"a space inside", line[:20] + " " + line[20:]},
	}
}

// changes are what can happen to sealed bytes: header is where the nonce begins.
func changes(good []byte, header int, id string) []struct {
	why string
	bad octets
} {
	flip := func(at int) octets {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		return bad
	}
	return []struct {
		why string
		bad octets
	}{
		{"version 0", flip(0)},
		{"algorithm 0", flip(1)},
		{id, flip(2)},
		{"nonce, one bit", flip(header)},
		{"ciphertext, one bit", flip(header + 12)},
		{"tag, one bit", flip(len(good) - 1)},
		{"a byte short", good[:len(good)-1]},
		{"a byte more", append(bytes.Clone(good), 0)},
		{"header only", good[:header]},
		{"nothing", octets{}},
	}
}

func refusedDEKs(v vectors) (out []refusedDEK) {
	good := v.DEKs[1]
	base := refusedDEK{Tenant: good.Tenant, Subject: good.Subject, ID: good.ID, Wrapped: good.Wrapped}
	add := func(why string, change func(*refusedDEK)) {
		d := base
		d.Why = why
		change(&d)
		out = append(out, d)
	}
	for _, c := range changes(good.Wrapped, 10, unknownKey) {
		add(c.why, func(d *refusedDEK) { d.Wrapped = c.bad })
	}
	add("another tenant", func(d *refusedDEK) { d.Tenant += "x" })
	add("another subject", func(d *refusedDEK) { d.Subject = "" })
	add("moved border", func(d *refusedDEK) { d.Tenant, d.Subject = "5d0f9", "a1c" })
	add("another data key's id", func(d *refusedDEK) { d.ID = v.DEKs[0].ID })
	return out
}

func refusedBlobs(v vectors) (out []refusedBlob) {
	good := v.Blobs[1]
	good.AAD, good.Plaintext = nil, nil
	add := func(why string, change func(*blobVector)) {
		b := refusedBlob{why, good}
		change(&b.blobVector)
		out = append(out, b)
	}
	for _, c := range changes(good.Blob, 18, "data key's id") {
		add(c.why, func(b *blobVector) { b.Blob = c.bad })
	}
	add("another tenant", func(b *blobVector) { b.Tenant = "5d10" })
	add("another subject", func(b *blobVector) { b.Subject = "9a1d" })
	add("another table", func(b *blobVector) { b.Table = "records" })
	add("another column", func(b *blobVector) { b.Column = "access_ct" })
	add("another row", func(b *blobVector) { b.Row = "b3k8" })
	add("the generation before", func(b *blobVector) { b.Generation-- })
	add("the next generation", func(b *blobVector) { b.Generation++ })
	add("another connection", func(b *blobVector) { b.Connection = "work" })
	add("another destination", func(b *blobVector) { b.Destination = append(octets{0xd0}, b.Destination[1:]...) })
	add("no destination", func(b *blobVector) { b.Destination = octets{} })
	add("moved border", func(b *blobVector) { b.Table, b.Column = "grantsr", "efresh_ct" })
	add("another user's data key", func(b *blobVector) { b.DEK = 0 })
	forged := append(append(octets{1, 1}, v.DEKs[0].ID...), good.Blob[18:]...)
	add("another user's data key, forged id", func(b *blobVector) { b.DEK, b.Blob = 0, forged })
	return out
}
