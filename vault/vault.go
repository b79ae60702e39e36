package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// Config is what a vault is made of.
type Config struct {
	Store       Store
	Keys        []seal.Key // all that the source yields; the vault records which one is active
	Connections []*provider.Connection
	Instance    string           // this process: unique among those that share the store
	Now         func() time.Time // nil = time.Now
	Rand        io.Reader        // nil = crypto/rand
	Logger      *slog.Logger     // nil = none
	Version     string           // of the program, for the audit
	Settings    string           // the configuration in force, without secrets: its keyed hash is audited when it changes; "" = not
	Anchor      Anchor           // receives heads of the audit; nil = none
	AccessTTL   time.Duration    // of an agent's access; 0 = 720h
	TicketTTL   time.Duration    // how long a ticket may be opened; 0 = 24h (serve); stdio has 15m
	Limits      Limits
	Remember    int             // bytes at most for what exchanges read, so that the next ones need not; 0 = 32 MiB, the least
	ReadAhead   bool            // Run has that read before they ask, of everybody: for a server
	Rules       map[string]Rule // by connection: which accounts may be connected, and by whom; none = all
	// ReadKeys reads the key source again, for a key that was added meanwhile; nil = it can be read once only.
	ReadKeys func(context.Context) ([]seal.Key, error)
	// OwnerDead says whether the process of that instance id is provably gone, so that its lease can be taken over at once; nil = never.
	OwnerDead func(instance string) bool
	// Rescue is where a refreshed token goes that the store does not take; nil = this process's memory only.
	Rescue Rescue
	// Notify hears of what a person should know; nil = nobody. It must not wait.
	Notify func(Notice)
	Reap   Ages
}

// Limits bound what one caller and agent can ask of a person; 0 = no limit.
type Limits struct {
	OpenTickets    int
	TicketsPerHour int
}

// Vault holds the grants of all users. It is safe for concurrent use.
type Vault struct {
	cfg      Config
	store    Store // learns keys; what else a store can do is asked of cfg.Store
	conns    map[string]*provider.Connection
	names    []string // of conns, sorted
	log      *slog.Logger
	id       string
	root     *seal.DEK
	keys     derivedKeys
	deks     dekCache
	looks    looks
	memory   memory
	changes  *changes
	indexers sync.Pool // of *indexer
	guards   guards

	keyring *keyring
	process process

	chain     chain
	journal   journal
	book      notebook
	refreshes singleflight.Group
	earlies   sync.Map // grants that are refreshed behind a call's back
	breakers  breakers
	work      work
	unsaved   unsaved
	forced    forcedLimits
	bell      bell
	home      home
}

// derivedKeys come from the root key, so that they outlive a rotation of the KEK.
type derivedKeys struct{ index, ticket, audit []byte }

// Open makes a vault over a store: on a new one it draws the vault's id and
// root key, on an existing one it proves that Keys opens it. The errors are
// *seal.UnknownKeyError for a wrong or missing key, seal.ErrOpen for a root key
// that was changed. It starts nothing.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	if len(cfg.Keys) == 0 || cfg.Store == nil || cfg.Instance == "" {
		return nil, errors.New("opening vault: store, keys and instance are required")
	}
	ring, err := newKeyring(cfg.Keys, cfg.ReadKeys)
	if err != nil {
		return nil, fmt.Errorf("opening vault: %w", err)
	}
	v := &Vault{cfg: withDefaults(cfg), keyring: ring, store: learning{Store: cfg.Store, ring: ring}, conns: map[string]*provider.Connection{}}
	v.memory, v.changes = newMemory(v.cfg.Remember), newChanges(v.cfg.Remember/rememberPerSlot)
	v.log = v.cfg.Logger
	for _, c := range cfg.Connections {
		v.conns[c.Name()] = c
	}
	v.names = slices.Sorted(maps.Keys(v.conns))
	v.bell = newBell()
	if err := v.unlock(ctx); err != nil {
		return nil, fmt.Errorf("opening vault: %w", err)
	}
	if err := v.store.View(ctx, v.pickStream); err != nil {
		return nil, fmt.Errorf("choosing an audit stream: %w", err)
	}
	if err := v.checkHome(ctx); err != nil {
		return nil, fmt.Errorf("opening vault: %w", err)
	}
	v.replay(ctx)
	return v, nil
}

func withDefaults(cfg Config) Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.AccessTTL == 0 {
		cfg.AccessTTL = 720 * time.Hour
	}
	if cfg.TicketTTL == 0 {
		cfg.TicketTTL = 24 * time.Hour
	}
	cfg.Remember = max(cfg.Remember, rememberLeast)
	if cfg.OwnerDead == nil {
		cfg.OwnerDead = func(string) bool { return false }
	}
	return cfg
}

// Close waits for refreshes and callbacks in flight to commit, and lets no more
// begin, and syncs the audit; where Run has run, it says that this process stops. The store stays open: it belongs to who made it.
func (v *Vault) Close() error {
	done := make(chan struct{})
	go func() { defer close(done); v.work.close() }()
	v.beatUntil(done)
	v.memory.close()
	return errors.Join(v.writeNotes(context.Background(), true), v.journal.close(v), v.endChain(context.Background()), v.leave())
}

// ID is the vault's own id, drawn when it was made.
func (v *Vault) ID() string { return v.id }

// Connections are the names of the configured connections, sorted.
func (v *Vault) Connections() []string { return slices.Clone(v.names) }

// Connection answers a configured connection.
func (v *Vault) Connection(name string) (*provider.Connection, bool) {
	c, ok := v.conns[name]
	return c, ok
}

// Ready says whether the store can take a synced write now, and has all that it should.
func (v *Vault) Ready(ctx context.Context) error {
	if v.unsaved.any() {
		return errUnsaved
	}
	return v.store.Check(ctx)
}

func (v *Vault) now() int64 { return Millis(v.cfg.Now()) }

// newID draws a row id: a prefix that says of what, and 80 random bits.
func (v *Vault) newID(prefix string) (string, error) {
	b := make([]byte, 10)
	if _, err := io.ReadFull(v.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("drawing an id: %w", err)
	}
	return prefix + hex.EncodeToString(b), nil
}

// random draws n bytes as base64url: a handle, a state, a verifier.
func (v *Vault) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(v.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("drawing random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
