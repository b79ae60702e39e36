package vault

import (
	"encoding/binary"
	"sync"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

const (
	// pickCacheSize is how many picks one half of the cache holds at most, and
	// pickCacheBytes how many bytes they take, by weight: both halves stay below 32 MiB.
	pickCacheSize  = 8192
	pickCacheBytes = 16 << 20
	// pickOverhead is what a pick takes beside its strings and blobs.
	pickOverhead = 1024
	// pickMax is the weight beyond which a pick is not kept.
	pickMax = 64 << 10
)

// pickCache keeps what exchanges picked at the store's epoch seen last. A pick of
// another epoch is of no use to anybody, so that none of them outlives the first
// look at a changed store. Tokens lie in it sealed, as in the row.
type pickCache struct {
	mu         sync.RWMutex
	epoch      int64
	young, old map[string]*kept
	bytes      int // of young
}

type kept struct {
	picked
	weight int // in bytes, nearly
}

// pickKey is all of a request that a pick depends on, each part with its length in front.
func pickKey(r Request, w who) string {
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
	return string(b)
}

func appendPart(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func (c *pickCache) get(key string) (*kept, bool) {
	c.mu.RLock()
	k, ok := c.young[key]
	if !ok {
		k = c.old[key]
	}
	c.mu.RUnlock()
	if !ok && k != nil {
		c.add(key, k)
	}
	return k, k != nil
}

// put keeps a pick, if it holds for every exchange of its kind until the epoch
// moves or a clock says otherwise: access for one call does not, nor does a row
// that has something to mend first.
func (c *pickCache) put(key string, from *picked) {
	p := *from
	if p.access.Once != "" || p.row.AuditGap || p.row.Unverified || p.row.AccessCT == nil || p.slim != nil && p.narrow == nil {
		return
	}
	p.asked = p.ask()
	p.need, p.tokens, p.cached = provider.Need{}, tokens{}, true
	p.row.ProfileCT, p.row.RefreshFP, p.row.AltCT, p.access.AgentCT = nil, nil, nil, nil
	if p.row.RefreshCT != nil {
		p.row.RefreshCT = []byte{} // there is one: the token may be refreshed early
	}
	if p.narrow = nil; p.slim != nil {
		p.row.AccessCT = nil
	}
	k := &kept{picked: p, weight: pickOverhead + len(key) + len(p.row.AccessCT) + len(p.narrowRec.Value) + len(p.row.Scopes) + len(p.access.Scopes) + 2*len(p.label)}
	if k.weight > pickMax {
		return
	}
	c.add(key, k)
}

func (c *pickCache) add(key string, k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move(k.epoch)
	if k.epoch != c.epoch {
		return
	}
	if c.young == nil || len(c.young) >= pickCacheSize || c.bytes+k.weight > pickCacheBytes {
		c.young, c.old, c.bytes = make(map[string]*kept), c.young, 0
	}
	if was := c.young[key]; was != nil {
		c.bytes -= was.weight
	}
	c.young[key] = k
	c.bytes += k.weight
}

// see forgets what was picked before epoch.
func (c *pickCache) see(epoch int64) {
	c.mu.RLock()
	moved := epoch > c.epoch
	c.mu.RUnlock()
	if moved {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.move(epoch)
	}
}

func (c *pickCache) move(epoch int64) {
	if epoch > c.epoch {
		c.epoch, c.young, c.old, c.bytes = epoch, nil, nil, 0
	}
}

// recall answers a kept pick with its access token opened, if the clock still
// allows it and the token is not to be refreshed: no transaction is needed for
// that. Whether the row still is what it was shows in the release's own transaction.
func (v *Vault) recall(key string, r Request) (*picked, bool) {
	k, ok := v.picks.get(key)
	if !ok {
		return nil, false
	}
	p := new(k.picked)
	if !r.meant(p.access) || !v.reopen(p) {
		return nil, false
	}
	return p, v.usable(p, nil) && !v.early(p) && v.lasts(p, r.MinTTL) && v.open(p.access, r.Call)
}

// reopen opens the token that goes out for a kept pick, if its key is at hand.
func (v *Vault) reopen(p *picked) bool {
	blob, place, into := p.row.AccessCT, v.place(p.row, colAccess), any(&p.tokens.access)
	if p.slim != nil {
		p.narrow = new(narrowed)
		blob, place, into = p.narrowRec.Value, v.recordPlace(p.narrowRec), p.narrow
	}
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return false
	}
	dek, ok := v.deks.get(id, p.row.User)
	return ok && openJSON(dek, place, blob, into) == nil
}
