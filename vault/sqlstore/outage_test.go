package sqlstore_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// wire forwards connections to a server, and cuts one at its next commit.
type wire struct {
	net.Listener
	to    string
	sever atomic.Value // "", "before" or "after" the commit reaches the server
	cuts  atomic.Int32
	cut   func()       // what happens meanwhile, nil for nothing
	hold  sync.RWMutex // held so long: nobody learns of it earlier
}

// newWire answers place with its host replaced by a wire.
func newWire(t *testing.T, place string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: u.Host}
	w.sever.Store("")
	u.Host = l.Addr().String()
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.forward(context.WithoutCancel(t.Context()), client) })
		}
	})
	return w, u.String()
}

// wait is over when nothing happens behind a cut any more.
func (w *wire) wait() {
	w.hold.RLock()
	defer w.hold.RUnlock()
}

func (w *wire) forward(ctx context.Context, client net.Conn) {
	w.wait() // no way round by another connection either
	server, err := new(net.Dialer).DialContext(ctx, "tcp", w.to)
	if err != nil {
		_ = client.Close()
		return
	}
	var mute atomic.Bool
	go func() {
		defer func() { w.wait(); _, _ = client.Close(), server.Close() }()
		for buf := make([]byte, 1<<16); ; {
			n, err := server.Read(buf)
			if err != nil || mute.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	defer func() { _, _ = client.Close(), server.Close() }()
	for buf := make([]byte, 1<<16); ; {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			switch {
			case w.sever.CompareAndSwap("before", ""):
				w.cuts.Add(1)
				if w.cut != nil {
					w.hold.Lock()
					w.cut()
					w.hold.Unlock()
				}
				return
			case w.sever.CompareAndSwap("after", ""):
				w.cuts.Add(1)
				mute.Store(true)
				_, _ = server.Write(buf[:n])
				time.Sleep(100 * time.Millisecond)
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestLostCommit cuts the line at a commit: what the server has stored counts as
// stored, what never reached it is done again.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	for at, wantRuns := range map[string]int{"before": 2, "after": 1} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w, place := newWire(t, storetest.Postgres(t))
			s := openStore(t, place)
			w.sever.Store(at)
			runs := 0
			err := s.Update(t.Context(), func(tx vault.Tx) error {
				runs++
				head, _, err := tx.Audit().Head("main")
				if err != nil {
					return err
				}
				return tx.Audit().Append([]vault.AuditRow{{Stream: "main", Seq: head + 1, Body: []byte("b"), MAC: []byte("m")}})
			})
			if err != nil || runs != wantRuns || w.cuts.Load() != 1 {
				t.Errorf("%v after %d runs and %d cuts, want none after %d and 1", err, runs, w.cuts.Load(), wantRuns)
			}
			wantEntries(t, s, 1)
		})
	}
}

// wantEntries wants the chain to be gapless and n entries long.
func wantEntries(t *testing.T, s vault.Store, n int64) {
	t.Helper()
	err := s.View(t.Context(), func(tx vault.Tx) error {
		rows, err := tx.Audit().Read("main", 1, 1_000_000)
		for i, r := range rows {
			if r.Seq != int64(i+1) || i > 0 && !bytes.Equal(r.Body, rows[i-1].MAC) {
				t.Fatalf("entry %d does not follow the one before", i+1)
			}
		}
		if int64(len(rows)) != n {
			t.Errorf("%d entries, want %d", len(rows), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAppendAcrossProcesses has three processes read the head and write after it.
func TestAppendAcrossProcesses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) { appendFrom(t, slices.Repeat([]string{place}, 3), 100, nil) })
}

// TestTerminatedConnections has three processes write while the server ends
// their connections again and again: none of them notices, and nothing that one
// was told is stored is missing or twice. A process that was cut off has to store
// something before it is again, however slow the machine: there are three attempts.
func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	name := "load_" + u.Query().Get("search_path")
	places, stored := make([]string, 3), make([]int, 3)
	for i := range places {
		places[i], stored[i] = base+"&application_name="+writer(i)+name, -1
	}
	db := server(t, base)
	ask := func(query, arg string) (n int) {
		if err := db.QueryRowContext(t.Context(), query, arg).Scan(&n); err != nil {
			t.Errorf("asking the server: %v", err)
		}
		return n
	}
	const entries = `SELECT count(*) FROM audit WHERE kind = $1`
	const end = `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
		WHERE application_name = $1 AND (backend_xid IS NOT NULL AND query LIKE '% audit %' OR query = 'commit')
		LIMIT 1) one) ended`
	ended := 0
	appendFrom(t, places, 1000, func() {
		i := rand.N(len(places))
		if ask(entries, writer(i)) == stored[i] || ask(end, writer(i)+name) == 0 {
			return
		}
		stored[i] = ask(entries, writer(i))
		ended++
	})
	if ended < 3 {
		t.Errorf("only %d connections were ended under load", ended)
	}
}

// writer is the kind of entries that the i-th process appends.
func writer(i int) string { return "writer" + strconv.Itoa(i) }

// appendFrom has a process for each place append entries there, which are one store, and calls disturb meanwhile.
func appendFrom(t *testing.T, places []string, each int, disturb func()) {
	t.Helper()
	s := openStore(t, places[0])
	said := make(chan []int64, len(places))
	var wg sync.WaitGroup
	for i, place := range places {
		wg.Go(func() {
			var heard []int64
			defer func() { said <- heard }()
			out, err := runChild(t, "append", place, strconv.Itoa(each)+" "+writer(i))
			if err != nil {
				t.Errorf("a process: %v\n%s", err, out)
				return
			}
			heard = numbers(t, strings.NewReader(out))
		})
	}
	for len(said) < len(places) {
		time.Sleep(60*time.Millisecond + rand.N(80*time.Millisecond)) // not in step with who tries again
		if disturb != nil && len(said) < len(places) {
			disturb()
		}
	}
	wg.Wait()
	close(said)
	seen := map[int64]bool{}
	for list := range said {
		for _, n := range list {
			if seen[n] {
				t.Errorf("two processes were told that entry %d is theirs", n)
			}
			seen[n] = true
		}
	}
	wantEntries(t, s, int64(len(places)*each))
}
