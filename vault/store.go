package vault

import (
	"context"
	"errors"
	"time"
)

// Errors that every Store answers with, wrapped or bare.
var (
	// ErrNotFound says that no row has this key.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a compare-and-swap met another generation or version, or that an insert met an existing row.
	ErrConflict = errors.New("conflict")
)

// Store keeps the vault's rows. They arrive sealed: a Store sees ids, keyed
// hashes, times and ciphertext, never a token, a name or an address.
//
// View runs fn on one consistent snapshot. Update runs fn in one write
// transaction that is durable (synced) when Update answers nil, and leaves
// nothing when fn or the commit fails. Once begun, an Update no longer heeds
// ctx: a caller that goes away must not roll back a rotated token (R24, G3).
// fn may run again after a conflict with another process, so it must not have
// effects outside of tx. All times are Unix milliseconds, 0 for "none".
type Store interface {
	View(ctx context.Context, fn func(tx Tx) error) error
	Update(ctx context.Context, fn func(tx Tx) error) error
	// Append is an Update that writes nothing but audit entries. When it answers nil they outlive this process,
	// and the machine once a later Update is done: whoever appends sees to one within 250 ms.
	Append(ctx context.Context, fn func(tx Tx) error) error
	// Readers is how many Views are worth running at once: more of them wait for each other.
	Readers() int
	// Check proves that the store can take a synced write now (readiness, and before a refresh token is spent).
	Check(ctx context.Context) error
	// Close waits for transactions in flight.
	Close() error
}

// Tx is a transaction's view of the tables. It is not safe for concurrent use and ends with its function.
type Tx interface {
	Users() UserRows
	Keys() KeyRows
	Grants() GrantRows
	Upkeep() UpkeepRows
	Access() AccessRows
	Records() RecordRows
	Audit() AuditRows
	Vault() VaultRows
	Processes() ProcessRows
}

// UserRow is a person, and with them the data keys that seal everything of
// theirs. The row with Key "" belongs to the vault itself: it holds the root key.
type UserRow struct {
	Key       string // keyed hash of issuer and subject, hex
	DEK       []byte // id of the data key in use, 16 bytes
	ProfileCT []byte // sealed Profile
	Created   int64
}

// KeyRow is one wrapped data key.
type KeyRow struct {
	ID      []byte // 16 bytes
	User    string // UserRow.Key
	Wrapped []byte // seal's wrapped form, 70 bytes
	Created int64
}

// UserRows are the users.
type UserRows interface {
	// Get answers the user, or ErrNotFound.
	Get(key string) (UserRow, error)
	// Put inserts a user with their first data key; ErrConflict when they exist.
	Put(u UserRow, k KeyRow) error
	// Use makes another of their data keys the one in use and replaces the profile that the old one sealed; ErrConflict when from is not in use any more.
	Use(key string, from, to, profileCT []byte) error
	// List answers users by their key, after after and at most limit, without the vault's own row.
	List(after string, limit int) ([]UserRow, error)
	// Delete removes a user with their data keys, grants, access and records; the audit stays. ErrNotFound when there is none.
	Delete(key string) error
}

// KeyRows are the wrapped data keys.
type KeyRows interface {
	// Get answers a wrapped data key by its id, or ErrNotFound.
	Get(id []byte) (KeyRow, error)
	// Of answers a user's, the oldest first.
	Of(user string) ([]KeyRow, error)
	// Insert adds one for an existing user; ErrConflict when its id is there.
	Insert(k KeyRow) error
	// Rewrap replaces the wrapped form from by to; ErrConflict when it is not from any more.
	Rewrap(id, from, to []byte) error
	// Others answers keys that are not wrapped under kek (8 bytes), by id, after after and at most limit.
	Others(kek, after []byte, limit int) ([]KeyRow, error)
	// Count says how many keys are wrapped under which KEK.
	Count() ([]KeyCount, error)
}

// KeyCount is how many data keys are wrapped under a KEK.
type KeyCount struct {
	KEK []byte // seal.KeyID, 8 bytes
	N   int64
}

// VaultRows are what belongs to the vault itself.
type VaultRows interface {
	// Setting answers a value (instance id, active key id), or ErrNotFound.
	Setting(name string) ([]byte, error)
	// SetSetting inserts or replaces one.
	SetSetting(name string, value []byte) error
	// Now is the clock that all machines on this store share, and 0 where the store lies in one machine and has none of its own.
	Now() (int64, error)
	// Epoch grows with every transaction that changed a grant (but for its lease and last use), an access (but for its last use) or removed a user.
	// What was read at one epoch holds in every transaction that sees the same one: none of them can then overtake a change.
	Epoch() (int64, error)
	// Changed answers whose rows they changed since an epoch, some more than once. all says that anybody's may have: it was too many, or too
	// long ago, or the store never had that epoch, as one that lost its last transactions.
	Changed(since int64) (users []string, all bool, err error)
}

// ProcessRow is a process that has this vault open.
type ProcessRow struct {
	ID      string // Config.Instance
	Version string
	Keys    []byte // ids of the KEKs that it holds, 8 bytes each
	Stream  string // the audit chain that it writes
	Started int64
	Beat    int64 // when it last said that it lives
}

// ProcessRows are the processes on this store; those that were killed stay until somebody removes them.
type ProcessRows interface {
	Put(p ProcessRow) error
	List() ([]ProcessRow, error)
	// Delete is no error when there is none.
	Delete(id string) error
}

// GrantRow is one account with its grant (facts: one row per account, one
// generation per stored token set). Columns that end in CT are sealed for
// exactly this row, column, Gen, connection and destination.
type GrantRow struct {
	ID          string // random, 26 characters
	User        string // UserRow.Key
	Connection  string // name in the config
	Destination []byte // digest of where its tokens may go (provider.Connection.Destination)
	AccountKey  string // keyed hash of connection and the vendor's account id, hex; unique per user and connection
	State       string // GrantState
	Gen         int64  // +1 with every stored token set
	Scopes      string // granted, as stored: space separated, sorted
	IsDefault   bool
	GrantedBy   string // agent id whose ticket led to the grant, or "person"

	ProfileCT []byte // sealed Profile of the account at the vendor; sealed at generation 0
	AccessCT  []byte // sealed token set of Gen
	AccessExp int64  // 0 = the vendor names no end
	RefreshCT []byte // sealed refresh token of Gen; nil = none
	RefreshFP []byte // keyed hash of the refresh token
	AltCT     []byte // the refresh token before, sealed for column "alt"
	AltUntil  int64

	LeaseOwner   string // instance id of the process that refreshes; "" = free
	LeaseSeq     int64
	LeaseUntil   int64
	AttemptAt    int64
	AttemptPhase string // "" or "sent"
	NextTry      int64
	FailCount    int64
	LastError    string // our code, never the vendor's text
	AuditGap     bool   // a change was stored without its entry: releases stay blocked until it is written
	Unverified   bool   // stored, identity not yet checked

	Created, Updated, Refreshed, Used int64
}

// GrantFilter names grants: a user's, or everybody's of one account at one
// connection; the zero filter everybody's of all.
type GrantFilter struct {
	User                   string
	Connection, AccountKey string
}

// GrantRows are the accounts.
type GrantRows interface {
	// Get answers a grant by its id, or ErrNotFound.
	Get(id string) (GrantRow, error)
	// List answers the grants that f names, oldest first.
	List(f GrantFilter) ([]GrantRow, error)
	// Insert adds a grant; ErrConflict when the user has this account already.
	Insert(g GrantRow) error
	// Swap replaces the row of g.ID if its generation is still gen; ErrConflict when it moved. It never touches the lease columns.
	Swap(g GrantRow, gen int64) error
	// Lease changes only the columns of Lease, if generation and LeaseSeq are still those given; ErrConflict when they moved.
	Lease(id string, gen, seq int64, l Lease) error
}

// UpkeepRows are the grants that background work looks for.
type UpkeepRows interface {
	// Due answers active grants with a refresh token whose access token ends up to before, that were used since used and since their last refresh, and may be tried at now, the first to end first.
	Due(before, used, now int64, limit int) ([]GrantRow, error)
	// Ended answers grants in a state other than active that they have been in since before, oldest first.
	Ended(state string, before int64, limit int) ([]GrantRow, error)
	// Idle answers active grants that were made and last used before before, oldest first.
	Idle(before int64, limit int) ([]GrantRow, error)
	// Alternates answers grants whose alternate refresh token is kept until before or at until, the oldest first.
	Alternates(until int64, limit int) ([]GrantRow, error)
	// Delete removes a grant of that generation with the access to it; ErrConflict when it moved.
	Delete(id string, gen int64) error
}

// Lease is the part of a grant that a refresh claims before it spends (the durable intent) and frees afterwards.
type Lease struct {
	Owner     string
	Seq       int64
	Until     int64
	AttemptAt int64
	Phase     string
	NextTry   int64
	FailCount int64
	LastError string
}

// AccessRow is the permission for one agent to use one account.
type AccessRow struct {
	ID      string
	User    string // UserRow.Key
	Agent   string // Agent.Key: keyed hash of issuer and id, hex
	Grant   string // GrantRow.ID
	Scopes  string // up to these, space separated, sorted
	Expires int64
	// Once is "" for lasting access, "open" for one call not yet made, else the keyed hash of the call that used it.
	Once    string
	AgentCT []byte // sealed Agent, bound to Agent, Grant, Scopes, Expires and whether it is for one call
	Created int64
	Used    int64
}

// HeldRow is a grant with the access that one agent has to it. Of the grant it has
// what an exchange looks at: AccountKey, GrantedBy, RefreshFP, AltUntil, LeaseSeq, LeaseUntil,
// AttemptPhase, LastError and Used are zero. It cannot be swapped.
type HeldRow struct {
	Grant  GrantRow
	Access AccessRow // zero = none
}

// AccessRows are the permissions of agents.
type AccessRows interface {
	// Held answers a user's grants, the oldest first, each with the access of an agent.
	Held(user, agent string) ([]HeldRow, error)
	// Get answers the access of an agent to a grant, or ErrNotFound.
	Get(user, agent, grant string) (AccessRow, error)
	// List answers a user's rows.
	List(user string) ([]AccessRow, error)
	// Pairs answers each user with each agent that has access of theirs, by both, after a pair and at most limit. The rows have no more than these.
	Pairs(user, agent string, limit int) ([]AccessRow, error)
	// Find answers anybody's by its id, or ErrNotFound.
	Find(id string) (AccessRow, error)
	// Put inserts or replaces the row of (User, Agent, Grant).
	Put(a AccessRow) error
	// Touch sets Used, also of the grant, and Once, if Once still is from; ErrConflict otherwise.
	Touch(id string, from, once string, used int64) error
	// Delete removes one; ErrNotFound when it is not there.
	Delete(user, id string) error
}

// Record is something short-lived: a ticket, a flow's state, a browser
// session, a used id. Its handle is known to its holder only; the store has the hash.
type Record struct {
	Kind    string
	Hash    []byte // SHA-256 of the handle
	Owner   string // UserRow.Key, or "" when nobody owns it yet
	Value   []byte // sealed for kind, hash and Version
	Version int64  // +1 with every Put
	Expires int64  // Get and List leave out what has expired
}

// RecordRows keep everything short-lived.
type RecordRows interface {
	// Get answers a record that has not expired at now, or ErrNotFound.
	Get(kind string, hash []byte, now int64) (Record, error)
	// List answers an owner's records of one kind that have not expired at now, oldest expiry first.
	List(kind, owner string, now int64) ([]Record, error)
	// Put stores r: with Version 1 as a new record (an expired one of that key is replaced), else over version Version-1. ErrConflict otherwise.
	Put(r Record, now int64) error
	// Take answers a record and removes it: of takers at the same time one has it, the others ErrNotFound.
	Take(kind string, hash []byte, now int64) (Record, error)
	// Expired answers records of one kind whose time has come at now, the first to expire first, at most limit: those that Sweep would remove.
	Expired(kind string, now int64, limit int) ([]Record, error)
	// Sweep removes what expired before now, at most limit rows, and says how many it removed.
	Sweep(now int64, limit int) (int, error)
}

// AuditRow is one link of a chain: MAC = HMAC(previous MAC ‖ canonical entry).
type AuditRow struct {
	Stream string // one per SQLite file; on a server one per process that runs at the same time
	Seq    int64  // gapless from 1
	Time   int64
	User   string // UserRow.Key, a keyed pseudonym
	Kind   string
	Body   []byte // the canonical entry, personal fields sealed
	MAC    []byte // 32 bytes
}

// AuditMark is an entry's place among those of its user: by time, and at one time by stream and number.
type AuditMark struct {
	Time   int64
	Stream string
	Seq    int64
}

// AuditRows are the log. There is no way to change a row, or to remove one but from the beginning.
type AuditRows interface {
	// Head answers the last sequence number of a stream and its MAC; 0 and nil for an empty one.
	Head(stream string) (int64, []byte, error)
	// Append adds rows of one stream that continue the head; ErrConflict when they do not.
	Append(rows []AuditRow) error
	// Read answers rows from seq on, at most limit.
	Read(stream string, seq int64, limit int) ([]AuditRow, error)
	// Of answers a user's entries of all streams before a mark, the newest first, at most limit; the zero mark is
	// behind all. Those of kind "token.released" are left out.
	Of(user string, before AuditMark, limit int) ([]AuditRow, error)
	// Prune removes a stream's rows up to last; ErrConflict when that would be all of them.
	Prune(stream string, last int64) error
	// Streams answers the names of all chains, sorted.
	Streams() ([]string, error)
}

// Millis is t in Unix milliseconds, 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis is the opposite of Millis.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
