package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// Rescue is the emergency journal: a place beside the store for tokens that the
// store does not take. vault/rescue has one in a file. What it is given is sealed.
type Rescue interface {
	// Ready says that a record can be written and synced now.
	Ready() error
	// Append writes a record; nil means that it is on disk.
	Append(record []byte) error
	// Erase forgets this process's records.
	Erase() error
	// Replay hands over the records of other processes, and forgets those of a process that is gone where keep answers nil.
	Replay(keep func(record []byte, live bool) error) error
}

// unsaved are the grants whose new tokens are in this process's memory and the
// emergency journal only. Nothing is sent for them meanwhile: the token in the row may be spent.
type unsaved struct {
	mu     sync.Mutex
	grants map[string]bool
}

func (u *unsaved) has(grant string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.grants[grant]
}

func (u *unsaved) any() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.grants) > 0
}

// putAside writes what could not be stored into the emergency journal, and says whether it is there.
func (v *Vault) putAside(a *attempt, g *provider.Grant) bool {
	v.unsaved.mu.Lock()
	defer v.unsaved.mu.Unlock()
	if v.unsaved.grants == nil {
		v.unsaved.grants = map[string]bool{}
	}
	v.unsaved.grants[a.p.row.ID] = true
	if v.cfg.Rescue == nil {
		return false
	}
	record, err := v.rescued(a, g)
	if err == nil {
		err = v.cfg.Rescue.Append(record)
	}
	if err != nil {
		v.log.Error("a refreshed grant is in memory only", "grant", a.p.row.ID, "error", err)
		return false
	}
	hit("after_journal")
	return true
}

// saved forgets a grant that is stored now, and the journal when it was the last.
func (v *Vault) saved(grant string) {
	v.unsaved.mu.Lock()
	defer v.unsaved.mu.Unlock()
	delete(v.unsaved.grants, grant)
	if len(v.unsaved.grants) > 0 || v.cfg.Rescue == nil {
		return
	}
	if err := v.cfg.Rescue.Erase(); err != nil {
		v.log.Warn("erasing the emergency journal", "error", err) // what is in it is older than the rows
	}
}

// rescueRecord is a token set in the emergency journal. What is not sealed is its associated data.
type rescueRecord struct {
	V           int    `json:"v"`
	User        string `json:"user"`
	Grant       string `json:"grant"`
	Generation  int64  `json:"generation"` // whose refresh token was spent for it
	Connection  string `json:"connection"`
	Destination []byte `json:"destination"`
	Sealed      []byte `json:"sealed"`
}

// rescuedSet is the sealed part.
type rescuedSet struct {
	V         int      `json:"v"`
	Access    string   `json:"access"`
	Refresh   string   `json:"refresh,omitempty"`
	IDToken   string   `json:"id_token,omitempty"`
	APIBase   string   `json:"api_base,omitempty"`
	Scopes    []string `json:"scopes"`
	Confirmed bool     `json:"confirmed"`
	Expiry    int64    `json:"expiry"`
	Answered  int64    `json:"answered"`
	Slim      []string `json:"slim,omitempty"` // of a narrowing refresh, what it asked for
}

func (r rescueRecord) place(tenant string) seal.Place {
	return seal.Place{
		Tenant: tenant, Subject: r.User, Table: "rescue", Column: "tokens", Row: r.Grant,
		Generation: uint64(r.Generation), Connection: r.Connection, Destination: r.Destination,
	}
}

func (v *Vault) rescued(a *attempt, g *provider.Grant) ([]byte, error) {
	r := rescueRecord{
		V: 1, User: a.p.row.User, Grant: a.p.row.ID, Generation: a.p.row.Gen,
		Connection: a.p.row.Connection, Destination: a.p.row.Destination,
	}
	var err error
	r.Sealed, err = sealJSON(a.dek, r.place(v.id), rescuedSet{
		V: 1, Access: g.Access.Reveal(), Refresh: g.Refresh.Reveal(), IDToken: g.IDToken.Reveal(), APIBase: g.APIBase,
		Scopes: g.Scopes, Confirmed: g.Confirmed, Expiry: Millis(g.Expiry), Answered: a.answered, Slim: a.p.slim,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing for the emergency journal: %w", err)
	}
	return json.Marshal(r)
}

// replay stores what other processes have in their emergency journals: those that
// are gone, and those that live and cannot write. A failure is for the log: the journal stays for the next time.
func (v *Vault) replay(ctx context.Context) {
	if v.cfg.Rescue == nil || v.lives(ctx) != nil {
		return
	}
	if err := v.cfg.Rescue.Replay(func(record []byte, live bool) error { return v.restore(ctx, record, live) }); err != nil {
		v.log.Error("an emergency journal could not be replayed yet", "error", err)
	}
}

// restore stores one record, if its grant has not moved on: an error means that
// it could not be, and not that there was nothing to do. What became of a living
// process's record otherwise is that process's matter: it has it in memory, too.
func (v *Vault) restore(ctx context.Context, raw []byte, live bool) error {
	var r rescueRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		v.log.Error("a record of the emergency journal is none of ours")
		return nil
	}
	var g *provider.Grant
	var a *attempt
	var row GrantRow
	var late, theirs bool
	err := v.store.Update(ctx, func(tx Tx) (err error) {
		late = false
		if row, err = tx.Grants().Get(r.Grant); err != nil {
			return err
		}
		if theirs = live && row.Gen != r.Generation; theirs {
			return nil
		}
		if g, a, err = v.openRescued(tx, r); err != nil {
			return err
		}
		a.p.row = row
		late, err = v.restoreIn(tx, r, a, g)
		return err
	})
	switch {
	case damaged(err):
		v.log.Error("a record of the emergency journal does not open, or its grant is gone", "grant", r.Grant)
		return nil
	case err != nil || theirs:
		return err
	case late:
		v.giveBackLate(ctx, row, g)
	}
	v.log.Warn("a refreshed grant came back from the emergency journal", "grant", r.Grant, "generation", r.Generation+1)
	return nil
}

// restoreIn is saveIn for a record. A row that is further behind was restored from a backup: the record is newer.
func (v *Vault) restoreIn(tx Tx, r rescueRecord, a *attempt, g *provider.Grant) (late bool, err error) {
	switch row := a.p.row; {
	case row.Gen > r.Generation+1:
		return false, nil
	case row.Gen > r.Generation:
		return row.State == string(GrantRevoked), v.keepAlternate(tx, r.Destination, row, g)
	}
	if a.p.tokens, err = v.openTokens(tx, a.p.row); err != nil && !damaged(err) {
		return false, err
	}
	return v.saveIn(tx, a, g, false)
}

// openRescued answers what came, and of its attempt when and what was asked for.
func (v *Vault) openRescued(tx Tx, r rescueRecord) (*provider.Grant, *attempt, error) {
	id, err := seal.BlobDEK(r.Sealed)
	if err != nil {
		return nil, nil, err
	}
	dek, err := v.dataKeyByID(tx, r.User, id[:])
	if err != nil {
		return nil, nil, err
	}
	var s rescuedSet
	if err := openJSON(dek, r.place(v.id), r.Sealed, &s); err != nil {
		return nil, nil, err
	}
	return &provider.Grant{
		Access: provider.NewSecret(s.Access), Refresh: provider.NewSecret(s.Refresh), IDToken: provider.NewSecret(s.IDToken),
		APIBase: s.APIBase, Scopes: s.Scopes, Confirmed: s.Confirmed, Expiry: FromMillis(s.Expiry),
	}, &attempt{p: picked{slim: s.Slim}, answered: s.Answered}, nil
}
