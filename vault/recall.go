package vault

import (
	"bytes"
	"slices"

	"github.com/grantry/grantry/vault/seal"
)

// source is where a pick finds what lies sealed in the rows that it has: in the store, or in memory.
type source interface {
	// holder answers who has the access of p.
	holder(v *Vault, p *picked) (accessHolder, error)
	// record answers a record of the person's with what it says, or ErrNotFound, also where it does not open.
	record(v *Vault, rec Record) (Record, []byte, error)
	// tokens answers at least the access token, if that is to go out.
	tokens(v *Vault, p *picked) (tokens, error)
}

// stored is the store, as a transaction sees it.
type stored struct{ tx Tx }

func (s stored) holder(v *Vault, p *picked) (accessHolder, error) {
	return v.openHolder(s.tx, p.access)
}

func (s stored) record(v *Vault, rec Record) (Record, []byte, error) {
	rec, err := s.tx.Records().Get(rec.Kind, rec.Hash, v.now())
	if err != nil {
		return rec, nil, err
	}
	plain, err := v.openRecord(s.tx, rec)
	if damaged(err) {
		err = ErrNotFound
	}
	return rec, plain, err
}

func (s stored) tokens(v *Vault, p *picked) (tokens, error) { return v.openTokens(s.tx, p.row) }

func (k *kept) holder(*Vault, *picked) (accessHolder, error) {
	return accessHolder{Wider: k.wider}, nil
}

func (k *kept) record(v *Vault, rec Record) (Record, []byte, error) {
	i := slices.IndexFunc(k.narrowed, func(r keptRecord) bool {
		return r.rec.Kind == rec.Kind && bytes.Equal(r.rec.Hash, rec.Hash) && r.rec.Expires > v.now()
	})
	if i < 0 {
		return rec, nil, ErrNotFound
	}
	r := k.narrowed[i]
	dek, err := v.unwrap(r.rec.Value, r.rec.Owner, r.wrapped)
	if err != nil {
		return rec, nil, err
	}
	plain, err := dek.Open(v.recordPlace(r.rec), r.rec.Value)
	return r.rec, plain, err
}

func (k *kept) tokens(v *Vault, p *picked) (t tokens, err error) {
	if p.slim != nil {
		return t, nil
	}
	dek, err := v.unwrap(p.row.AccessCT, p.row.User, k.wrapped)
	if err != nil {
		return t, err
	}
	return t, openJSON(dek, v.place(p.row, colAccess), p.row.AccessCT, &t.access)
}

// unwrap answers the data key of a blob: one at hand, else the wrapped one that was kept with it.
func (v *Vault) unwrap(blob []byte, user string, wrapped []byte) (*seal.DEK, error) {
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return nil, err
	}
	if k, ok := v.deks.get(id, user); ok {
		return k.DEK, nil
	}
	dek, err := v.keyring.tree().OpenDEK(v.id, user, id, wrapped)
	if err == nil {
		v.deks.put(user, dataKey{dek, bytes.Clone(wrapped)})
	}
	return dek, err
}

// wrappedFor answers the data key of a blob as it is wrapped, if that is at hand.
func (v *Vault) wrappedFor(blob []byte, user string) []byte {
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return nil
	}
	k, _ := v.deks.get(id, user)
	return k.wrapped
}

// remembered answers what is remembered of a person for an agent, if nothing of the person's has changed since.
func (v *Vault) remembered(w who) (*shelf, bool) {
	s, ok := v.memory.get(w)
	return s, ok && v.changes.hold(w.user, s.epoch)
}

// recall picks from memory, if the token can go out as it is: no transaction is needed
// for that. Whatever else there is to say to a request is for a pick that reads. Whether
// the rows still are what they were shows in the release's own transaction.
func (v *Vault) recall(r Request, w who) (*picked, bool) {
	s, ok := v.remembered(w)
	if !ok {
		return nil, false
	}
	ways, err := v.waysOf(r)
	if err != nil {
		return nil, false
	}
	all, ok := s.of(w, ways)
	if !ok {
		return nil, false
	}
	a, by, err := choose(r, ways, all)
	if err != nil || !a.kept.whole {
		return nil, false
	}
	p := pickedFrom(a, by, s.epoch)
	p.kept, p.used = a.kept, a.kept.used
	if err := v.prove(p.kept, r, p); err != nil {
		return nil, false
	}
	return p, v.usable(p, nil) && !v.early(p) && v.lasts(p, r.MinTTL)
}

// remember keeps what a pick has read, for every exchange of its person and agent
// until something of the person's changes.
func (v *Vault) remember(w who, p *picked) {
	k := &kept{whole: p.lasting(), wider: p.wider, used: p.used}
	if p.narrowRec.Value != nil {
		k.narrowed = v.narrowedOf(w, p)
	}
	i := slices.IndexFunc(p.all, func(a account) bool { return a.row.ID == p.row.ID })
	p.all[i].kept = k
	v.shelve(w, p.epoch, p.all)
}

// lasting says whether what was picked may be picked again: access for one call may not,
// nor may a row that has something to mend first.
func (p *picked) lasting() bool {
	return p.access.Once == "" && !p.row.AuditGap && !p.row.Unverified && p.row.AccessCT != nil
}

// narrowedOf are the narrowed tokens to remember of an account: the one that was asked for now, and those before it.
func (v *Vault) narrowedOf(w who, p *picked) []keptRecord {
	out := []keptRecord{{rec: p.narrowRec, wrapped: v.wrappedFor(p.narrowRec.Value, w.user)}}
	s, ok := v.remembered(w)
	if !ok {
		return out
	}
	for _, one := range s.accounts {
		var a account
		if !one.unpack(&a, w, string(one.connection)) || a.row.ID != p.row.ID {
			continue
		}
		for _, r := range a.kept.narrowed {
			if !bytes.Equal(r.rec.Hash, p.narrowRec.Hash) && len(out) < narrowedKeptMost {
				out = append(out, r)
			}
		}
	}
	return out
}

// shelve puts into memory what was read at an epoch, if that has been followed (changes.reached), and
// answers how many bytes it takes. Accounts of which nothing is known yet are opened first.
func (v *Vault) shelve(w who, epoch int64, all []account) int {
	s := &shelf{epoch: epoch, accounts: make([]shelved, len(all))}
	useful := false
	for i := range all {
		a := &all[i]
		if a.kept == nil {
			a.kept = v.opened(a)
		}
		if a.kept.wrapped = v.wrappedFor(a.row.AccessCT, w.user); a.kept.wrapped == nil || !a.kept.whole {
			*a.kept = kept{}
			a.row.AccessCT, a.row.RefreshCT = nil, nil
		}
		if a.row.RefreshCT != nil {
			a.row.RefreshCT = []byte{} // there is one: the token may be refreshed early
		}
		s.accounts[i] = a.pack()
		useful = useful || a.kept.whole
	}
	if !useful || !v.changes.reached(epoch) {
		return 0
	}
	v.memory.put(w, s)
	return s.size
}

// opened opens all that is sealed in an account's rows (R71), with the keys at hand.
func (v *Vault) opened(a *account) *kept {
	p := &picked{row: a.row, access: a.access}
	if a.row.State != string(GrantActive) || a.access.ID == "" || !p.lasting() {
		return new(kept)
	}
	h, err := v.openHolder(atHand{}, a.access)
	if err != nil {
		return new(kept)
	}
	if _, err := v.openTokens(atHand{}, a.row); err != nil {
		return new(kept)
	}
	return &kept{whole: true, wider: h.Wider, used: a.access.Used}
}

// atHand is a transaction without rows: with it opens what is sealed under keys at hand.
type atHand struct{ Tx }

func (atHand) Keys() KeyRows { return noKeys{} }

type noKeys struct{ KeyRows }

func (noKeys) Get([]byte) (KeyRow, error) { return KeyRow{}, ErrNotFound }
