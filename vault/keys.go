package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/grantry/grantry/vault/seal"
)

const (
	settingID = "vault_id"

	labelIndex  = "index/v1"
	labelTicket = "ticket/v1"
	labelAudit  = "audit-mac/v1"
	labelState  = "state/v1"
)

// unlock opens the root key, or draws it when the store is new. Two processes
// that start at once on a new store meet in the write transaction: the second finds the first one's key.
func (v *Vault) unlock(ctx context.Context) error {
	err := v.store.View(ctx, v.loadRoot)
	if errors.Is(err, ErrNotFound) {
		err = v.store.Update(ctx, func(tx Tx) error {
			if err := v.loadRoot(tx); !errors.Is(err, ErrNotFound) {
				return err
			}
			return v.drawRoot(tx)
		})
	}
	if err != nil {
		return err
	}
	v.keys = derivedKeys{index: v.root.Derive(labelIndex), ticket: v.root.Derive(labelTicket), audit: v.root.Derive(labelAudit)}
	return nil
}

func (v *Vault) loadRoot(tx Tx) error {
	id, err := tx.Vault().Setting(settingID)
	if err != nil {
		return err
	}
	if _, err := v.wrapping(tx); err != nil {
		return err
	}
	v.id = string(id)
	u, err := tx.Users().Get("")
	if err != nil {
		return fmt.Errorf("reading root key: %w", err)
	}
	v.root, err = v.dataKey(tx, u)
	return err
}

func (v *Vault) drawRoot(tx Tx) error {
	id, err := v.random(12)
	if err != nil {
		return err
	}
	v.id = id
	if err := setKEK(tx, settingKEK, v.cfg.Keys[0].ID()); err != nil {
		return err
	}
	if v.root, err = v.newUser(tx, UserRow{Created: v.now()}, nil); err != nil {
		return err
	}
	return tx.Vault().SetSetting(settingID, []byte(id))
}

// newUser stores a user with a fresh data key.
func (v *Vault) newUser(tx Tx, u UserRow, profile any) (*seal.DEK, error) {
	tree, err := v.wrapping(tx)
	if err != nil {
		return nil, err
	}
	dek, wrapped, err := tree.NewDEK(v.id, u.Key, v.cfg.Rand)
	if err != nil {
		return nil, err
	}
	id := dek.ID()
	u.DEK = id[:]
	if profile != nil {
		if u.ProfileCT, err = sealJSON(dek, v.userPlace(u), profile); err != nil {
			return nil, err
		}
	}
	return dek, tx.Users().Put(u, KeyRow{ID: id[:], User: u.Key, Wrapped: wrapped, Created: u.Created})
}

// dataKey opens a user's data key in use.
func (v *Vault) dataKey(tx Tx, u UserRow) (*seal.DEK, error) { return v.dataKeyByID(tx, u.Key, u.DEK) }

func (v *Vault) dataKeyByID(tx Tx, user string, id []byte) (*seal.DEK, error) {
	if len(id) != len(seal.DEKID{}) {
		return nil, fmt.Errorf("opening data key: %w", seal.ErrOpen)
	}
	if k, ok := v.deks.get(seal.DEKID(id), user); ok {
		return k.DEK, nil
	}
	row, err := tx.Keys().Get(id)
	if err != nil {
		return nil, fmt.Errorf("reading data key: %w", err)
	}
	dek, err := v.keyring.tree().OpenDEK(v.id, user, seal.DEKID(id), row.Wrapped)
	if err != nil {
		return nil, err
	}
	v.deks.put(user, dataKey{dek, row.Wrapped})
	return dek, nil
}

// userProfile is the sealed form of a Person's identity.
type userProfile struct {
	V       int    `json:"v"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// ensureUser answers the caller's row and key, and makes them on first sight.
func (v *Vault) ensureUser(tx Tx, c Caller) (string, *seal.DEK, error) {
	key := v.Pseudonym(c)
	u, err := tx.Users().Get(key)
	if err == nil {
		dek, err := v.sealingKey(tx, u)
		return key, dek, err
	}
	if !errors.Is(err, ErrNotFound) {
		return "", nil, err
	}
	dek, err := v.newUser(tx, UserRow{Key: key, Created: v.now()}, userProfile{V: 1, Issuer: c.Issuer, Subject: c.Subject})
	return key, dek, err
}

// userDEK opens the key under which new values of an existing user are sealed.
func (v *Vault) userDEK(tx Tx, user string) (*seal.DEK, error) {
	u, err := tx.Users().Get(user)
	if err != nil {
		return nil, err
	}
	return v.sealingKey(tx, u)
}

func (v *Vault) userPlace(u UserRow) seal.Place {
	return seal.Place{Tenant: v.id, Subject: u.Key, Table: "users", Column: "profile", Row: u.Key}
}

// Pseudonym is a caller's keyed hash: the row key, and what logs and the audit show.
func (v *Vault) Pseudonym(c Caller) string { return v.index("user", c.Issuer, c.Subject) }

// index is the keyed hash by which a value is looked up without being stored.
func (v *Vault) index(what string, parts ...string) string {
	x, _ := v.indexers.Get().(*indexer)
	if x == nil {
		x = &indexer{mac: hmac.New(sha256.New, v.keys.index)}
	}
	defer v.indexers.Put(x)
	b := appendPart(x.buf[:0], what)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	x.mac.Reset()
	x.mac.Write(b)
	b = x.mac.Sum(b[:0])
	x.buf = b
	return hex.EncodeToString(b[:20])
}

// appendPart adds s with its length in front.
func appendPart(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// indexer is a keyed hash for index, to be used again.
type indexer struct {
	mac hash.Hash
	buf []byte
}

// MAC is HMAC-SHA256 of msg under the vault's key for label; processes of one vault prove themselves to each other by it.
func (v *Vault) MAC(label string, msg []byte) []byte {
	m := hmac.New(sha256.New, v.root.Derive("mac/v1/"+label))
	m.Write(msg)
	return m.Sum(nil)
}

// SealState seals what a client must hold for us (requestState): base64url, authenticated, for one purpose.
func (v *Vault) SealState(purpose string, plaintext []byte) (string, error) {
	blob, err := v.root.Seal(v.statePlace(purpose), plaintext)
	if err != nil {
		return "", fmt.Errorf("sealing state: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(blob), nil
}

// OpenState opens it again, or answers ErrNotFound when it is not ours, was changed, or is for another purpose.
func (v *Vault) OpenState(purpose, sealed string) ([]byte, error) {
	blob, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || strings.ContainsAny(sealed, "\r\n") { // which the decoder skips: then one state had many spellings
		return nil, ErrNotFound
	}
	plain, err := v.root.Open(v.statePlace(purpose), blob)
	if err != nil {
		return nil, ErrNotFound
	}
	return plain, nil
}

func (v *Vault) statePlace(purpose string) seal.Place {
	return seal.Place{Tenant: v.id, Table: labelState, Column: purpose}
}

func sealJSON(dek *seal.DEK, p seal.Place, value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return dek.Seal(p, plain)
}

// openJSON opens blob with the data key that it names; keys answers it.
func openJSON(dek *seal.DEK, p seal.Place, blob []byte, into any) error {
	plain, err := dek.Open(p, blob)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return seal.ErrOpen
	}
	return nil
}
