package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/VictoriaMetrics/fastcache"

	"github.com/grantry/grantry/vault/seal"
)

const (
	rememberLeast = 32 << 20 // what the cache takes in any case
	// rememberPerSlot is how many of its bytes come to a slot of changes: a pick takes 500, with a small token.
	rememberPerSlot = 1 << 10
)

// pickCache keeps what exchanges picked, as bytes beside the heap: so many picks would
// keep the collector busy. Whose rows changed since is not looked up in it, what lies in
// it is just not believed any more (changes), and the oldest goes when there is no more
// room. Tokens and data keys lie in it sealed, as in the rows.
type pickCache struct{ kept func() *fastcache.Cache }

// newPickCache takes no memory until it is asked for something.
func newPickCache(bytes int) pickCache {
	return pickCache{sync.OnceValue(func() *fastcache.Cache { return fastcache.New(bytes) })}
}

// close gives the memory back. What is remembered after it lies in memory that nobody gives back.
func (c pickCache) close() { c.kept().Reset() }

// pickKey is a hash of all of a request that a pick depends on, each part with its length in front.
func pickKey(r Request, w who) []byte {
	b := make([]byte, 0, 512)
	b = appendPart(b, w.user)
	b = appendPart(b, w.agent)
	b = appendPart(b, r.Account)
	b = appendCeiling(b, r.Ceiling)
	for _, n := range r.Needs {
		b = appendPart(b, n.Connection)
		b = appendPart(b, n.Provider)
		b = binary.BigEndian.AppendUint32(b, uint32(len(n.Groups)))
		for _, g := range n.Groups {
			b = binary.BigEndian.AppendUint32(b, uint32(len(g)))
			for _, s := range g {
				b = appendPart(b, s)
			}
		}
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func appendPart(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// put leaves out what is larger than 64 KiB.
func (c pickCache) put(p *picked) {
	f := fields{b: make([]byte, 0, 1024)}
	p.fields(&f)
	c.kept().Set(p.key, f.b)
}

func (c pickCache) get(key []byte) (*picked, bool) {
	b, ok := c.kept().HasGet(make([]byte, 0, 512), key)
	if !ok {
		return nil, false
	}
	p, f := &picked{key: key}, fields{b: b, text: string(b), reading: true}
	p.fields(&f)
	return p, !f.bad
}

// fields are what is kept of a pick: all that recalling and releasing it takes.
func (p *picked) fields(f *fields) {
	g, a, n := &p.row, &p.access, &p.narrowRec
	f.texts(&p.label, &g.ID, &g.User, &g.Connection, &g.Scopes, &g.LeaseOwner, &a.ID, &n.Kind, &n.Owner)
	f.numbers(&p.epoch, &p.used, &g.Gen, &g.AccessExp, &g.AttemptAt, &g.NextTry, &g.FailCount, &g.Refreshed)
	f.numbers(&a.Expires, &a.Created, &a.Used, &n.Version, &n.Expires)
	f.blobs(&g.Destination, &g.AccessCT, &g.RefreshCT, &n.Hash, &n.Value, &p.wrapped)
	f.lists(&p.asked, &p.slim)
}

// remember keeps a pick, if it holds for every exchange of its kind until something of
// its person's changes or a clock says otherwise: access for one call does not, nor
// does a row that has something to mend first.
func (v *Vault) remember(key []byte, from *picked) {
	p := *from
	if p.access.Once != "" || p.row.AuditGap || p.row.Unverified || p.row.AccessCT == nil || p.slim != nil && p.narrow == nil {
		return
	}
	blob, _ := v.outgoingBlob(&p)
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return
	}
	k, ok := v.deks.get(id, p.row.User)
	if !ok {
		return
	}
	p.key, p.asked, p.wrapped = key, p.ask(), k.wrapped
	if p.row.RefreshCT != nil {
		p.row.RefreshCT = []byte{} // there is one: the token may be refreshed early
	}
	if p.slim != nil {
		p.row.AccessCT = nil
	}
	v.picks.put(&p)
}

// recall answers a kept pick with its access token opened, if nothing of its person's
// changed, the clock still allows it and the token is not to be refreshed: no transaction is
// needed for that. Whether the row still is what it was shows in the release's own transaction.
func (v *Vault) recall(key []byte, r Request) (*picked, bool) {
	p, ok := v.picks.get(key)
	if !ok || !v.changes.hold(p.row.User, p.epoch) || !r.meant(p.access) {
		return nil, false
	}
	if p.conn, ok = v.conns[p.row.Connection]; !ok || !v.reopen(p) {
		return nil, false
	}
	return p, v.usable(p, nil) && !v.early(p) && v.lasts(p, r.MinTTL) && v.open(p.access, r.Call)
}

// reopen opens the token that goes out for a kept pick.
func (v *Vault) reopen(p *picked) bool {
	into := any(&p.tokens.access)
	if p.slim != nil {
		p.narrow = new(narrowed)
		into = p.narrow
	}
	blob, place := v.outgoingBlob(p)
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return false
	}
	k, ok := v.deks.get(id, p.row.User)
	if !ok {
		if k.DEK, err = v.keyring.tree().OpenDEK(v.id, p.row.User, id, p.wrapped); err != nil {
			return false
		}
	}
	return openJSON(k.DEK, place, blob, into) == nil
}

// outgoingBlob is the token that goes out for a pick, as it is sealed.
func (v *Vault) outgoingBlob(p *picked) ([]byte, seal.Place) {
	if p.slim != nil {
		return p.narrowRec.Value, v.recordPlace(p.narrowRec)
	}
	return p.row.AccessCT, v.place(p.row, colAccess)
}
