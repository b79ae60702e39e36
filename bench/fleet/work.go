package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantry/grantry/cmd/instance"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/rescue"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

// worker is a process with a vault.
type worker struct {
	job   Job
	vault *vault.Vault
	store *brittle
	log   *slog.Logger
	ahead atomic.Int64 // of the clock

	mu   sync.Mutex
	seen map[int]*vault.Token // last token of each user

	outMu sync.Mutex
	out   *json.Encoder
}

// Work is a process: it reads a Job and then Tasks from in, one JSON line each,
// and writes Results to out until in ends. Then it closes the vault properly.
func Work(ctx context.Context, in io.Reader, out, log io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	w := &worker{
		out: json.NewEncoder(out), seen: map[int]*vault.Token{},
		log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if err := lines.Decode(&w.job); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	w.ahead.Store(int64(w.job.Ahead))
	stop, err := w.open(ctx)
	if err != nil {
		return err
	}
	w.say(Result{OK: true})
	var wg sync.WaitGroup
	for {
		var t Task
		if err = lines.Decode(&t); err != nil {
			break
		}
		wg.Go(func() { w.say(w.do(ctx, t)) })
	}
	wg.Wait()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, stop())
}

// now is the process's clock.
func (w *worker) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *worker) open(ctx context.Context) (stop func() error, err error) {
	locks := instance.Folder(w.job.Locks)
	lock, err := locks.Hold(w.job.Instance)
	if err != nil {
		return nil, err
	}
	source, err := seal.OpenSource("file:"+w.job.Key, seal.SourceOptions{})
	if err != nil {
		return nil, err
	}
	keys, err := source.Keys(ctx)
	if err != nil {
		return nil, err
	}
	store, err := w.openStore(ctx)
	if err != nil {
		return nil, err
	}
	w.store = &brittle{Store: store}
	conn, err := NewConnection(w.job.Vendor, w.job.OpenID, w.now, &http.Client{Transport: &signed{worker: w.job.Instance, answered: w.store.answered}})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	w.vault, err = vault.Open(ctx, vault.Config{
		Store: w.store, Keys: keys, Connections: []*provider.Connection{conn}, Instance: w.job.Instance, Now: w.now, Logger: w.log,
		AccessTTL: 1e6 * time.Hour, OwnerDead: func(id string) bool { return id != w.job.Instance && locks.Dead(id) },
		Rescue: rescue.New(filepath.Join(filepath.Dir(w.job.Key), "rescue"), w.job.Instance, w.log),
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	upkeep := func() {}
	if w.job.Upkeep {
		upkeep = inBackground(ctx, w.vault)
	}
	return func() error {
		upkeep()
		return errors.Join(w.vault.Close(), store.Close(), lock.Close())
	}, nil
}

// inBackground runs what a vault does between calls, until the answered function is called.
func inBackground(ctx context.Context, v *vault.Vault) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = v.Run(ctx) // it ends with its context only
	}()
	return func() { cancel(); <-done }
}

func (w *worker) openStore(ctx context.Context) (vault.Store, error) {
	if strings.Contains(w.job.Store, "://") {
		return sqlstore.OpenPostgres(ctx, sqlstore.PostgresConfig{URL: provider.NewSecret(w.job.Store), Logger: w.log})
	}
	return sqlstore.Open(ctx, sqlstore.Config{Path: w.job.Store, Logger: w.log})
}

func (w *worker) say(r Result) {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	_ = w.out.Encode(r) // who does not listen any more will close in as well
}

func (w *worker) do(ctx context.Context, t Task) Result {
	r := Result{ID: t.ID, OK: true}
	var err error
	switch t.Do {
	case DoConnect:
		err = Connect(ctx, w.vault, t.User)
	case DoExchange:
		r.Gen, r.Serial, err = w.exchange(ctx, t)
	case DoAhead:
		w.ahead.Add(int64(t.By))
	case DoBreak:
		w.store.armed.Store(true)
	case DoFill:
		err = fill(w.job.Store)
	case DoFree:
		err = free()
	default:
		err = fmt.Errorf("no task is called %q", t.Do)
	}
	if err == nil {
		return r
	}
	r.OK, r.Reason, r.Detail = false, "error", err.Error()
	if errors.Is(err, errRefused) {
		r.Reason = Refused
	}
	if e := (*vault.ConsentError)(nil); errors.As(err, &e) {
		r.Reason, r.After, r.Detail = string(e.Reason), e.RetryAfter, fmt.Sprint(e.Err)
	}
	return r
}

// exchange asks the vault as a tool does. Of a generation that this process has
// not seen before it shows the token to the vendor.
func (w *worker) exchange(ctx context.Context, t Task) (gen int64, serial int, err error) {
	r := Request(t.User)
	if t.Less {
		r = RequestLess(t.User)
	}
	last := w.last(t.User)
	if t.Force && last != nil {
		r.Stale = &last.Bearer
	}
	tok, err := w.vault.Exchange(ctx, r)
	if err != nil {
		return 0, 0, err
	}
	if last != nil && last.Generation == tok.Generation {
		return tok.Generation, 0, nil
	}
	b, serial, err := w.show(ctx, t.User, tok.Bearer)
	if err != nil {
		return 0, 0, err
	}
	tok.Bearer = b
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.seen[t.User]; last == nil || last.Generation < tok.Generation {
		w.seen[t.User] = tok
	}
	return tok.Generation, serial, nil
}

func (w *worker) last(user int) *vault.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[user]
}

// errRefused says that the vendor's API took neither the token nor its successor.
var errRefused = errors.New("the vendor's API refuses")

// show makes a call of the vendor's API, which answers the token's serial number.
// A 401 leads to one forced refresh, as everywhere.
func (w *worker) show(ctx context.Context, user int, b provider.Bearer) (provider.Bearer, int, error) {
	client := b.Client(nil, func(ctx context.Context, stale provider.Bearer) (provider.Bearer, error) {
		r := Request(user)
		r.Stale = &stale
		tok, err := w.vault.Exchange(ctx, r)
		if err != nil {
			return provider.Bearer{}, err
		}
		b = tok.Bearer
		return b, nil
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.job.Vendor+"/whoami", nil)
	if err != nil {
		return b, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return b, 0, fmt.Errorf("calling the vendor: %w", err)
	}
	defer resp.Body.Close()
	var who struct {
		Serial  int
		Subject string
	}
	if resp.StatusCode != http.StatusOK {
		return b, 0, fmt.Errorf("%w: %d to generation %d", errRefused, resp.StatusCode, b.Generation)
	}
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil {
		return b, 0, fmt.Errorf("reading the vendor's answer: %w", err)
	}
	if who.Subject != Subject(user) {
		return b, 0, fmt.Errorf("%s got a token of %s", Subject(user), who.Subject)
	}
	return b, who.Serial, nil
}
