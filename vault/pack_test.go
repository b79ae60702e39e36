package vault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grantry/grantry/vault"
)

// What was packed comes back as it was, nil as nil; what is cut off anywhere does not pass for whole.
func TestPacked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p vault.Packed
		for i := range 2 {
			p.Texts[i] = rapid.String().Draw(t, "text")
			p.Numbers[i] = rapid.Int64().Draw(t, "number")
			if rapid.Bool().Draw(t, "has blob") {
				p.Blobs[i] = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "blob")...)
			}
			if rapid.Bool().Draw(t, "has list") {
				p.Lists[i] = append([]string{}, rapid.SliceOf(rapid.String()).Draw(t, "list")...)
			}
		}
		b := p.Pack()
		got, ok := vault.Unpack(b)
		if diff := cmp.Diff(p, got); diff != "" || !ok {
			t.Fatalf("unpacked (ok %t):\n%s", ok, diff)
		}
		if _, ok := vault.Unpack(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); ok {
			t.Fatal("what was cut off passes for whole")
		}
	})
}

// Bytes that nobody packed are refused or read, and nothing worse.
func FuzzUnpack(f *testing.F) {
	whole := vault.Packed{Texts: [2]string{"a", ""}, Numbers: [2]int64{-1, 1 << 40}, Blobs: [2][]byte{{1}, nil}, Lists: [2][]string{{"a", "b"}, nil}}
	f.Add(whole.Pack())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(_ *testing.T, b []byte) { vault.Unpack(b) })
}
