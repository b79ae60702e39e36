package vault

import (
	"slices"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
)

const (
	rememberLeast = 32 << 20 // what the memory takes in any case
	// rememberPerSlot is how many of its bytes come to a slot of changes: one account takes 500, with a small token.
	rememberPerSlot = 1 << 10
	// memoryPiece is what fastcache keeps in one piece: not quite 64 KiB with the key.
	memoryPiece = 63 << 10
)

// memory keeps what picks read, a person's accounts as one agent has them, as bytes
// beside the heap: so many of them would keep the collector busy. Whose rows changed since is
// not looked up in it, what lies in it is just not believed any more (changes), and
// the oldest goes when there is no more room. Tokens and data keys lie in it sealed, as in the rows.
type memory struct{ kept func() *fastcache.Cache }

// newMemory takes no memory until it is asked for something.
func newMemory(bytes int) memory {
	return memory{sync.OnceValue(func() *fastcache.Cache { return fastcache.New(bytes) })}
}

// close gives the memory back. What is kept after it lies in memory that nobody gives back.
func (m memory) close() { m.kept().Reset() }

// key tells all pairs apart: each part is a keyed hash.
func (w who) key() []byte {
	return append(append(append(make([]byte, 0, 128), w.user...), ' '), w.agent...)
}

func (m memory) put(w who, s *shelf) {
	f := fields{b: make([]byte, 0, 1024)}
	s.fields(&f)
	if len(f.b) < memoryPiece {
		m.kept().Set(w.key(), f.b)
	} else {
		m.kept().SetBig(w.key(), f.b)
	}
	s.size = len(f.b)
}

func (m memory) get(w who) (*shelf, bool) {
	key := w.key()
	b, ok := m.kept().HasGet(make([]byte, 0, 640), key)
	if len(b) == bigMark {
		b = m.kept().GetBig(nil, key)
	}
	if !ok {
		return nil, false
	}
	s, f := &shelf{size: len(b)}, fields{b: b, reading: true}
	s.fields(&f)
	return s, !f.bad
}

// bigMark is the length of what stands in the place of a value of several pieces.
const bigMark = 16

// shelf is all that was read at one epoch of a person's accounts, for one agent. Each is
// packed by itself: a request is about few of them.
type shelf struct {
	epoch    int64
	accounts []shelved
	size     int // in memory, in bytes
}

type shelved struct{ connection, packed []byte }

func (s *shelf) fields(f *fields) {
	n := int64(len(s.accounts))
	f.numbers(&s.epoch, &n)
	if f.reading {
		if n < 0 || n > int64(len(f.b)) {
			f.bad = true
			return
		}
		s.accounts = make([]shelved, n)
	}
	for i := range s.accounts {
		f.blobs(&s.accounts[i].connection, &s.accounts[i].packed)
	}
}

// kept is what is remembered of an account beside its row and access.
type kept struct {
	whole    bool   // what its rows have sealed was opened, and its token may go out as it is
	wider    bool   // accessHolder.Wider
	used     int64  // when the last use was noted
	wrapped  []byte // the data key that opens its access token
	narrowed []keptRecord
}

// keptRecord is a narrowed token as it is sealed, with the data key that opens it.
type keptRecord struct {
	rec     Record
	wrapped []byte
}

// narrowedKeptMost is how many narrowed tokens of an account are remembered, the last ones.
const narrowedKeptMost = 8

func (r *keptRecord) fields(f *fields) {
	f.texts(&r.rec.Kind, &r.rec.Owner)
	f.numbers(&r.rec.Version, &r.rec.Expires)
	f.blobs(&r.rec.Hash, &r.rec.Value, &r.wrapped)
}

// fields are what is kept of an account: all that picking and releasing it takes. Its user, agent and connection stand elsewhere.
func (a *account) fields(f *fields) {
	g, x, k := &a.row, &a.access, a.kept
	label, n := a.profile.label(), int64(len(k.narrowed))
	f.flags(&k.whole, &k.wider, &g.IsDefault)
	f.texts(&label, &g.ID, &g.State, &g.Scopes, &g.LeaseOwner, &x.ID, &x.Scopes)
	f.numbers(&a.profile.Consent, &g.Gen, &g.AccessExp, &g.AttemptAt, &g.NextTry, &g.FailCount, &g.Created, &g.Updated, &g.Refreshed)
	f.numbers(&x.Expires, &x.Created, &x.Used, &k.used, &n)
	f.blobs(&g.Destination, &g.AccessCT, &g.RefreshCT, &k.wrapped)
	if f.reading {
		a.profile.Name = label
		k.narrowed = make([]keptRecord, min(max(n, 0), narrowedKeptMost))
	}
	for i := range k.narrowed {
		k.narrowed[i].fields(f)
	}
}

func (a *account) pack() shelved {
	f := fields{b: make([]byte, 0, 640)}
	a.fields(&f)
	return shelved{connection: []byte(a.row.Connection), packed: f.b}
}

// unpack reads an account whose connection is known, and answers false where it was cut off.
func (s shelved) unpack(a *account, w who, connection string) bool {
	a.kept = new(kept)
	f := fields{b: s.packed, text: string(s.packed), reading: true}
	a.fields(&f)
	a.row.User, a.row.Connection = w.user, connection
	if a.access.ID != "" {
		a.access.User, a.access.Agent, a.access.Grant = w.user, w.agent, a.row.ID
	}
	return !f.bad
}

// of unpacks the accounts at the connections of ways.
func (s *shelf) of(w who, ways []way) (all []account, ok bool) {
	all = make([]account, 0, min(len(s.accounts), 4))
	for _, one := range s.accounts {
		i := slices.IndexFunc(ways, func(w way) bool { return w.conn.Name() == string(one.connection) })
		if i < 0 {
			continue
		}
		all = append(all, account{})
		if !one.unpack(&all[len(all)-1], w, ways[i].conn.Name()) {
			return nil, false
		}
	}
	return all, true
}

// noteUse keeps when an account's last use was noted.
func (m memory) noteUse(w who, id string, at int64) {
	s, ok := m.get(w)
	if !ok {
		return
	}
	for i, one := range s.accounts {
		var a account
		if one.unpack(&a, w, string(one.connection)) && a.row.ID == id {
			a.kept.used = at
			s.accounts[i] = a.pack()
			m.put(w, s)
			return
		}
	}
}
