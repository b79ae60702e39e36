package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/grantry/grantry/vault/seal"
)

// Config is what a fleet is made of.
type Config struct {
	Program []string // how a process is started that calls Work
	Folder  string   // for the key, the lock files and, without Store, the SQLite file; absolute
	Store   string   // a postgres URL, or "" for Folder/vault.db
	Vendor  *Vendor
}

// Fleet starts processes on one store. It is safe for concurrent use.
type Fleet struct {
	cfg     Config
	name    string
	started atomic.Int64

	mu  sync.Mutex
	log bytes.Buffer
	all []*Process
}

// New makes folder and key; it starts nothing.
func New(cfg Config) (*Fleet, error) {
	if cfg.Vendor == nil || len(cfg.Program) == 0 || !filepath.IsAbs(cfg.Folder) {
		return nil, errors.New("making a fleet: vendor, program and an absolute folder are required")
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("making a fleet: %w", err)
	}
	f := &Fleet{cfg: cfg, name: strings.ToLower(rand.Text()[:6])}
	source, err := seal.OpenSource("file:"+f.key(), seal.SourceOptions{})
	if err != nil {
		return nil, fmt.Errorf("making a fleet: %w", err)
	}
	creator, ok := source.(seal.Creator)
	if !ok {
		return nil, errors.New("making a fleet: key files cannot be made")
	}
	if err := creator.Create(context.Background()); err != nil {
		return nil, fmt.Errorf("making a fleet: %w", err)
	}
	return f, nil
}

func (f *Fleet) key() string { return filepath.Join(f.cfg.Folder, "key") }

// Store is the path of the SQLite file, or the URL.
func (f *Fleet) Store() string {
	if f.cfg.Store != "" {
		return f.cfg.Store
	}
	return filepath.Join(f.cfg.Folder, "vault.db")
}

// Start starts a process under a new instance id, with more environment if env
// is given. Folder, key, store and vendor of the job are the fleet's.
func (f *Fleet) Start(ctx context.Context, job Job, env ...string) (*Process, error) {
	job.Instance = fmt.Sprintf("%s-%d", f.name, f.started.Add(1))
	job.Store, job.Key, job.Locks, job.Vendor = f.Store(), f.key(), filepath.Join(f.cfg.Folder, "run"), f.cfg.Vendor.URL()
	job.OpenID = f.cfg.Vendor.cfg.OpenID
	p, err := start(ctx, f.cfg.Program, env, f, job, func() { f.cfg.Vendor.Ended(job.Instance) })
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, f.Log())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, p)
	return p, nil
}

// Process finds one by its instance id, nil when there is none.
func (f *Fleet) Process(instance string) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.all {
		if p.Instance == instance {
			return p
		}
	}
	return nil
}

// maxLog bounds what is kept of the processes' logs.
const maxLog = 1 << 20

// Write keeps what the processes log.
func (f *Fleet) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.log.Len() < maxLog {
		f.log.Write(line)
	}
	return len(line), nil
}

// Log is what the processes have logged, up to a megabyte.
func (f *Fleet) Log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

// Close kills what still runs.
func (f *Fleet) Close() {
	f.mu.Lock()
	all := f.all
	f.mu.Unlock()
	for _, p := range all {
		p.Kill()
	}
}
