package seal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

// TestNothingPrints prints all that holds a key in every way, alone and inside
// of structs, whose fields fmt reads without asking their methods.
func TestNothingPrints(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdef0123456789ABCDEF")
	key, err := seal.GenerateKey(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := seal.NewTree([]seal.Key{key}, key.ID())
	if err != nil {
		t.Fatal(err)
	}
	dek, _, err := tree.NewDEK("t", "s", bytes.NewReader(append([]byte("1234567890abcdef"), raw...)))
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct {
		key  seal.Key
		keys []seal.Key
		dek  *seal.DEK
		tree *seal.Tree
		copy seal.DEK
		wood seal.Tree
	}
	all := []any{key, &key, dek, tree, hidden{key, []seal.Key{key}, dek, tree, *dek, *tree}, &hidden{key: key, copy: *dek}, map[string]seal.Key{"k": key}}
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range all {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		logger.Info("value", "v", v)
	}
	for _, v := range []any{key, dek, tree} {
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		if err := gob.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	text := out.String()
	for _, form := range []string{string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), strings.Trim(fmt.Sprint(raw), "[]"), key.Line(), fmt.Sprintf("%#v", raw)[7:60], roundKeys(raw)} {
		if strings.Contains(text, form) {
			t.Errorf("the key was printed as %.12s…", form)
		}
	}
	if n := strings.Count(text, "[redacted]"); n < 40 {
		t.Errorf("only %d times [redacted] in:\n%s", n, text)
	}
}

// roundKeys is how fmt would show the first words of the AES key schedule.
func roundKeys(raw []byte) string {
	words := make([]uint32, 4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return strings.Trim(fmt.Sprint(words), "[]")
}
