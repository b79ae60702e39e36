// Package seal keeps rows unreadable to whoever has the database without the
// key: envelope encryption with a key tree, a blob format that binds each value
// to its place, and the sources that a key-encryption key comes from.
//
// It is a leaf: it imports nothing of ours and knows nothing of databases. What
// it answers are bytes for a column. There is no plaintext mode.
//
// # Key tree
//
//	KEK, 32 bytes, outside the database (Source, Key)
//	 │
//	 ├─ HKDF-SHA256, label "kek-id/v1" ── KeyID, the first 8 bytes
//	 └─ HKDF-SHA256, label "wrap/v1" ──── wrapping key
//	     │
//	     ├─ wraps the root DEK, subject "" (one per vault)
//	     │   └─ HKDF-SHA256, one label per use ── DEK.Derive: "index/v1",
//	     │                        "audit-mac/v1", "ticket/v1", "mac/v1/…"
//	     └─ wraps a DEK per user ── AES-256-GCM ── fields
//
// HKDF is RFC 5869 with an empty salt and the label as info; every output has 32
// bytes. The KEK keys nothing else. What must outlive a change of the KEK hangs
// on the root DEK, so that a rotation wraps 70 bytes per user anew (Tree.Rewrap)
// and changes no row, no index and no chain. Trees do not change: With and
// Activate answer new ones, so a replica learns a key before it becomes active.
//
// # Wrapped data key, version 1, 70 bytes
//
//	┌────┬────┬──────────┬──────────┬──────────────┬─────────┐
//	│ 01 │ 01 │ KEK id   │ nonce    │ sealed DEK   │ tag     │
//	│    │    │ 8        │ 12       │ 32           │ 16      │
//	└────┴────┴──────────┴──────────┴──────────────┴─────────┘
//	  │    └ algorithm: AES-256-GCM
//	  └ version
//
// Associated data:
//
//	"grantry/dek/v1" LP(tenant) LP(subject) DEK id (16) KEK id (8)
//
// LP(x) is the length of x in 4 bytes, big endian, and then x. The DEK id stands
// in the row beside the wrapped key.
//
// # Blob, version 1, 46 bytes more than the plaintext
//
//	┌────┬────┬──────────┬──────────┬──────────────┬─────────┐
//	│ 01 │ 01 │ DEK id   │ nonce    │ ciphertext   │ tag     │
//	│    │    │ 16       │ 12       │ n            │ 16      │
//	└────┴────┴──────────┴──────────┴──────────────┴─────────┘
//
// Associated data:
//
//	"grantry/blob/v1" LP(tenant) LP(subject) LP(table) LP(column) LP(row)
//	u64(generation) LP(connection) LP(destination) first 18 bytes of the blob
//
// u64 is big endian. The associated data is a Place: rebuilt from the row at
// every Open and never stored, so a blob that somebody moved to another user,
// row, column or generation does not open.
//
// # Cipher
//
// AES-256-GCM with nonces that the library draws
// (cipher.NewGCMWithRandomNonce), which is what FIPS 140-3 mode allows. A key
// seals at most 2^32 messages; data keys are per user and are replaced long
// before. GCM does not commit to its key: that is harmless here, because every
// blob names its key and nothing is tried with several.
//
// # Test vectors
//
// testdata/vectors.json holds keys, wrapped data keys and blobs of this format with
// their associated data, and what must be refused: lines, wrapped keys and blobs
// that were changed, cut, or stand elsewhere. Another implementation that opens the
// ones, refuses the others, and derives the same ids, reads our databases.
//
// # Key file
//
// One key per line, each base64 (RFC 4648 section 4, padding optional) of 32
// bytes. Blank lines and lines that start with # are left out. Which of the keys
// is active is recorded in the vault, not in the file.
//
// Every source yields such lines, so that two keys live at once while one replaces
// the other: file:, env:, exec:, keychain:, and the key of a cloud's KMS. Those
// that we can write make their first key (Creator), and add and remove others
// (Appender, Remover); for env: and exec: a person adds Key.Line. A file is
// replaced as a whole, synced, under a lock beside it (path.lock, which stays), with
// its mode and owner; other lines stay byte for byte. Under a secrets mount it is
// not ours to write.
//
// # Sealed key file
//
// A KMS (awskms:, gcpkms:, azurekeyvault:, hashivault:) seals every line by itself,
// so that an RSA key of a KMS has room for it: the file holds base64 of its answer
// in place of the key, and the same comments. Each line is opened once in a process.
// The clients of the clouds are in builds with the tag cloudkms only; with
// SourceOptions.OpenKeeper any other KMS will do.
//
// # Errors
//
// No error shows a key, a plaintext or a line of a key file. A blob that does
// not open says ErrOpen and not why: a wrong place and a flipped bit look alike. Nor
// does one show a command, what it prints, or the words of a KMS.
package seal
