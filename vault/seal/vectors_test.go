package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"testing/cryptotest"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew; published vectors change with a new version of the format only")

const vectorFile = "testdata/vectors.json"

// octets are bytes that stand in the file as hexadecimal digits.
type octets []byte

func (b octets) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *octets) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

type vectors struct {
	Comment string        `json:"comment"`
	KEKs    []kekVector   `json:"keks"`
	DEKs    []dekVector   `json:"deks"`
	Blobs   []blobVector  `json:"blobs"`
	Lines   []refusedLine `json:"refused_lines"`
	NoDEKs  []refusedDEK  `json:"refused_deks"`
	NoBlobs []refusedBlob `json:"refused_blobs"`
}

type kekVector struct {
	Line    string `json:"line"`
	KeyID   octets `json:"key_id"`
	WrapKey octets `json:"wrap_key"`
}

type dekVector struct {
	KEK     int               `json:"kek"` // index into keks
	Tenant  string            `json:"tenant"`
	Subject string            `json:"subject"`
	ID      octets            `json:"id"`
	Key     octets            `json:"key"`
	AAD     octets            `json:"aad"`
	Wrapped octets            `json:"wrapped"`
	Derived map[string]octets `json:"derived,omitempty"`
}

type blobVector struct {
	DEK         int    `json:"dek"` // index into deks
	Tenant      string `json:"tenant"`
	Subject     string `json:"subject"`
	Table       string `json:"table"`
	Column      string `json:"column"`
	Row         string `json:"row"`
	Generation  uint64 `json:"generation"`
	Connection  string `json:"connection"`
	Destination octets `json:"destination"`
	AAD         octets `json:"aad,omitzero"`
	Plaintext   octets `json:"plaintext,omitzero"`
	Blob        octets `json:"blob"`
}

func (v blobVector) place() seal.Place {
	return seal.Place{
		Tenant: v.Tenant, Subject: v.Subject, Table: v.Table, Column: v.Column, Row: v.Row,
		Generation: v.Generation, Connection: v.Connection, Destination: v.Destination,
	}
}

// TestVectors opens every published value with the package, and makes it anew
// with the second implementation of reference_test.go: both must agree on each byte.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	v := readVectors(t)
	tree := checkKEKs(t, v.KEKs)
	deks := make([]*seal.DEK, len(v.DEKs))
	for i, d := range v.DEKs {
		deks[i] = checkDEK(t, tree, v.KEKs[d.KEK], d)
	}
	for i, b := range v.Blobs {
		got, err := deks[b.DEK].Open(b.place(), b.Blob)
		if err != nil || !bytes.Equal(got, b.Plaintext) {
			t.Errorf("blob %d opens as %x, %v; want %x", i, got, err, b.Plaintext)
		}
		if diff := cmp.Diff(b.Blob, octets(referenceBlob(t, v.DEKs[b.DEK], b))); diff != "" {
			t.Errorf("blob %d (-file +reference):\n%s", i, diff)
		}
		if diff := cmp.Diff(b.AAD, octets(referenceBlobAAD(v.DEKs[b.DEK], b))); diff != "" {
			t.Errorf("associated data of blob %d (-file +reference):\n%s", i, diff)
		}
	}
	checkRefused(t, v, tree, deks)
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.KEKs) == 0 || len(v.DEKs) == 0 || len(v.Blobs) == 0 || len(v.Lines) == 0 || len(v.NoDEKs) == 0 || len(v.NoBlobs) == 0 {
		t.Fatal("a kind of vectors is missing")
	}
	return v
}

func checkKEKs(t testing.TB, keks []kekVector) *seal.Tree {
	t.Helper()
	keys := make([]seal.Key, len(keks))
	for i, v := range keks {
		key, err := seal.ParseKey(v.Line)
		if err != nil {
			t.Fatal(err)
		}
		if id := key.ID(); !bytes.Equal(id[:], v.KeyID) || key.Line() != v.Line {
			t.Errorf("key %d has id %s, want %x", i, id, v.KeyID)
		}
		if wrap := referenceHKDF(lineBytes(t, v.Line), "wrap/v1"); !bytes.Equal(wrap, v.WrapKey) {
			t.Errorf("key %d derives wrap/v1 = %x, want %x", i, wrap, v.WrapKey)
		}
		keys[i] = key
	}
	tree, err := seal.NewTree(keys, keys[0].ID())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func checkDEK(t testing.TB, tree *seal.Tree, kek kekVector, v dekVector) *seal.DEK {
	t.Helper()
	d, err := tree.OpenDEK(v.Tenant, v.Subject, seal.DEKID(v.ID), v.Wrapped)
	if err != nil {
		t.Fatalf("data key %x: %v", v.ID, err)
	}
	if diff := cmp.Diff(v.Wrapped, octets(referenceWrapped(t, kek, v))); diff != "" {
		t.Errorf("data key %x (-file +reference):\n%s", v.ID, diff)
	}
	if diff := cmp.Diff(v.AAD, octets(referenceDEKAAD(kek, v))); diff != "" {
		t.Errorf("associated data of data key %x (-file +reference):\n%s", v.ID, diff)
	}
	for label, want := range v.Derived {
		if got := d.Derive(label); !bytes.Equal(got, want) || !bytes.Equal(got, referenceHKDF(v.Key, label)) {
			t.Errorf("data key %x derives %s = %x, want %x", v.ID, label, got, want)
		}
	}
	return d
}

// writeVectors makes the file, with the randomness of cryptotest.
func writeVectors(t *testing.T) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	v := vectors{Comment: "Test vectors of package seal, format 1; doc.go has the format. Bytes are hexadecimal, kek and dek are indexes. What is refused must not open; it says why, and differs from a value that opens there only."}
	var keys []seal.Key
	for range 2 {
		key := newKey(t)
		keys = append(keys, key)
		id := key.ID()
		v.KEKs = append(v.KEKs, kekVector{Line: key.Line(), KeyID: id[:], WrapKey: referenceHKDF(lineBytes(t, key.Line()), "wrap/v1")})
	}
	var deks []*seal.DEK
	for i, who := range [][2]string{{"5d0f", ""}, {"5d0f", "9a1c"}, {"", "ünïcode"}} {
		tree := newTree(t, keys[i%2])
		raw := bytes.Repeat([]byte{byte(0x10 * (i + 1))}, 48)
		raw[16] = 0xfe
		d, wrapped, err := tree.NewDEK(who[0], who[1], bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		dv := dekVector{KEK: i % 2, Tenant: who[0], Subject: who[1], ID: raw[:16], Key: raw[16:], Wrapped: wrapped}
		dv.AAD = referenceDEKAAD(v.KEKs[dv.KEK], dv)
		if who[1] == "" {
			dv.Derived = map[string]octets{}
			for _, label := range []string{"index/v1", "audit-mac/v1", "ticket/v1", "mac/v1/x"} {
				dv.Derived[label] = d.Derive(label)
			}
		}
		v.DEKs, deks = append(v.DEKs, dv), append(deks, d)
	}
	for _, b := range blobPlans() {
		blob, err := deks[b.DEK].Seal(b.place(), b.Plaintext)
		if err != nil {
			t.Fatal(err)
		}
		b.Blob, b.AAD = blob, referenceBlobAAD(v.DEKs[b.DEK], b)
		v.Blobs = append(v.Blobs, b)
	}
	v.Lines, v.NoDEKs, v.NoBlobs = refusedLines(v.KEKs[0]), refusedDEKs(v), refusedBlobs(v)
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func blobPlans() []blobVector {
	return []blobVector{
		{DEK: 0, Tenant: "5d0f", Table: "settings", Column: "value_ct", Plaintext: octets{}},
		{
			DEK: 1, Tenant: "5d0f", Subject: "9a1c", Table: "grants", Column: "refresh_ct", Row: "b3k7", Generation: 7,
			Connection: "google", Destination: bytes.Repeat([]byte{0xd1}, 32), Plaintext: octets(`{"refresh_token":"1//x"}`),
		},
		{
			DEK: 2, Subject: "ünïcode", Table: "records", Column: "value_ct", Row: "\x00 row", Generation: 1<<64 - 1,
			Destination: octets{0}, Plaintext: bytes.Repeat([]byte{'a'}, 300),
		},
	}
}
