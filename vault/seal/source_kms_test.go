package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
)

// localKMS is a KMS in memory, with a real cipher. It counts, and it can be
// forbidden to open.
type localKMS struct {
	aead                     cipher.AEAD
	urls                     []string
	opened, sealed, unsealed int
	sealOnly                 bool
}

func newLocalKMS(t *testing.T) *localKMS {
	t.Helper()
	block, err := aes.NewCipher([]byte("a key that never leaves this kms"))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return &localKMS{aead: aead}
}

func (k *localKMS) open(_ context.Context, url string) (seal.Keeper, error) {
	k.urls = append(k.urls, url)
	k.opened++
	return k, nil
}

func (k *localKMS) Encrypt(_ context.Context, plaintext []byte) ([]byte, error) {
	k.sealed++
	if len(plaintext) > 64 {
		return nil, errors.New("more than an RSA key of a KMS has room for")
	}
	return k.aead.Seal(nil, nil, plaintext, nil), nil
}

func (k *localKMS) Decrypt(_ context.Context, ciphertext []byte) ([]byte, error) {
	k.unsealed++
	if k.sealOnly {
		return nil, errors.New("permission denied")
	}
	return k.aead.Open(nil, nil, ciphertext, nil)
}

func (k *localKMS) Close() error {
	k.opened--
	return nil
}

func openKMS(t testing.TB, ref string, opts seal.SourceOptions) seal.Source {
	t.Helper()
	src, err := seal.OpenSource(ref, opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestKMSSource(t *testing.T) {
	t.Parallel()
	dir, kms := filepath.Join(t.TempDir(), "data"), newLocalKMS(t)
	opts := seal.SourceOptions{Dir: dir, OpenKeeper: kms.open}
	const ref = "hashivault://grantry/key?engine=other"
	src := openKMS(t, ref, opts)
	checkSealed(t, src, filepath.Join(dir, "keys.sealed"))
	if diff := cmp.Diff(ref, kms.urls[0]); diff != "" {
		t.Errorf("URL at the KMS (-want +got):\n%s", diff)
	}
	if kms.opened != 0 {
		t.Errorf("%d connections to the KMS are open", kms.opened)
	}
	if got := src.String(); got != "hashivault://grantry/key" {
		t.Errorf("String = %q", got)
	}

	kms.unsealed = 0
	again := openKMS(t, ref, opts)
	for range 3 { // the KMS opens each line once
		if diff := cmp.Diff(keyIDs(t, src), keyIDs(t, again)); diff != "" {
			t.Errorf("opened again (-first +again):\n%s", diff)
		}
	}
	if kms.unsealed != 2 {
		t.Errorf("the KMS was asked %d times for 2 lines", kms.unsealed)
	}
}

// checkSealed makes, adds, removes and adds keys of a source whose file is not
// there yet. It leaves two keys.
func checkSealed(t testing.TB, src seal.Source, path string) {
	t.Helper()
	if _, err := src.Keys(t.Context()); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("before Create: %v, want ErrNoKey", err)
	}
	for range 2 {
		if err := src.(seal.Creator).Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first := keyIDs(t, src)[0]
	var added []seal.Key
	for range 2 {
		key, err := seal.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, src, key)
		added = append(added, key)
	}
	removeFrom(t, src, first)
	if diff := cmp.Diff([]seal.KeyID{added[0].ID(), added[1].ID()}, keyIDs(t, src)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := readFile(t, path)
	if strings.Contains(text, added[0].Line()) || strings.Contains(text, first.String()) || !strings.Contains(text, added[0].ID().String()) {
		t.Error("the file must name the keys that it holds, and show none")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 && got != 0o666 { // Windows knows no other
		t.Errorf("mode %o, want 600", got)
	}
}

func TestKMSSourceRefuses(t *testing.T) {
	t.Parallel()
	dir, kms := t.TempDir(), newLocalKMS(t)
	opts := seal.SourceOptions{Dir: dir, OpenKeeper: kms.open}
	for _, ref := range []string{"awskms:", "gcpkms://", "azurekeyvault://a#b", "hashivault://%zz"} {
		if _, err := seal.OpenSource(ref, opts); err == nil {
			t.Errorf("%s was accepted", ref)
		}
	}
	if _, err := seal.OpenSource("awskms://key", seal.SourceOptions{OpenKeeper: kms.open}); err == nil {
		t.Error("a file in no folder was accepted")
	}

	kms.sealOnly = true
	src := openKMS(t, "awskms:///arn:aws:kms:key?region=eu-west-1&file=other", opts)
	if err := src.(seal.Creator).Create(t.Context()); err == nil {
		t.Error("a key was made that the KMS does not open again")
	}
	if names := fileNames(t, dir); len(names) != 0 {
		t.Errorf("files %v, want none", names)
	}
	kms.sealOnly = false
	if err := src.(seal.Creator).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := kms.urls[len(kms.urls)-1], "awskms:///arn:aws:kms:key?region=eu-west-1"; got != want {
		t.Errorf("URL at the KMS is %q, want %q", got, want)
	}
	path := filepath.Join(dir, "other")
	for name, content := range map[string]string{
		"a key as it is": newKey(t).Line() + "\n",
		"not base64":     "hunter2\n",
		"another KMS's":  "aHVudGVyMg==\n",
	} {
		writeFile(t, path, content)
		if _, err := src.Keys(t.Context()); err == nil || strings.Contains(err.Error(), strings.TrimSpace(content)) {
			t.Errorf("%s: %v, want an error that does not show the line", name, err)
		}
	}
}

// TestKMSSourceWithoutKMS asks for nothing at Append when the KMS is away: the
// file stays as it was.
func TestKMSSourceWithoutKMS(t *testing.T) {
	t.Parallel()
	dir, kms := t.TempDir(), newLocalKMS(t)
	away := errors.New("away")
	open := kms.open
	opts := seal.SourceOptions{Dir: dir, OpenKeeper: func(ctx context.Context, url string) (seal.Keeper, error) { return open(ctx, url) }}
	src := openKMS(t, "gcpkms://projects/p/key", opts)
	if err := src.(seal.Creator).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := readFile(t, filepath.Join(dir, "keys.sealed"))
	open = func(context.Context, string) (seal.Keeper, error) { return nil, away }
	if err := src.(seal.Appender).Append(t.Context(), newKey(t)); !errors.Is(err, away) {
		t.Errorf("Append: %v, want that the KMS is away", err)
	}
	if _, err := src.Keys(t.Context()); !errors.Is(err, away) {
		t.Errorf("Keys: %v, want that the KMS is away", err)
	}
	if got := readFile(t, filepath.Join(dir, "keys.sealed")); !bytes.Equal([]byte(got), []byte(old)) {
		t.Error("the file changed")
	}
}
