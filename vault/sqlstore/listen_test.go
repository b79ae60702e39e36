package sqlstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// watched answers where the calls of a Watch on s arrive, and its error when it
// has ended. It has begun to hear.
func watched(t *testing.T, s *sqlstore.Store) (rings chan time.Time, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	rings, ended = make(chan time.Time, 100), make(chan error, 1)
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		ended <- s.Watch(ctx, func() { rings <- time.Now() })
	}()
	select {
	case <-rings:
	case err := <-ended:
		t.Fatalf("Watch: %v", err)
	}
	return rings, ended
}

// silent fails the test if a ring comes.
func silent(t *testing.T, rings chan time.Time, after string) {
	t.Helper()
	select {
	case <-rings:
		t.Errorf("it rings for %s", after)
	case <-time.After(150 * time.Millisecond):
	}
}

func rung(t *testing.T, rings chan time.Time, after string) time.Time {
	t.Helper()
	select {
	case at := <-rings:
		return at
	case <-time.After(5 * time.Second):
		t.Fatalf("it does not ring for %s", after)
		return time.Time{}
	}
}

func putRecord(version int64) func(tx vault.Tx) error {
	return func(tx vault.Tx) error {
		return tx.Records().Put(vault.Record{Kind: "ticket", Hash: []byte("h"), Value: []byte("v"), Version: version, Expires: 1 << 50}, 1)
	}
}

// TestWatch wants a commit of one process to be heard by another one, and
// neither what failed nor what nobody waits for, nor one's own.
func TestWatch(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	here, there := openStore(t, place), openStore(t, place)
	elsewhere := openStore(t, storetest.Postgres(t)) // another vault in the same database
	update := func(s *sqlstore.Store, fn func(tx vault.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	update(here, putRecord(1))
	update(elsewhere, putRecord(1))
	rings, _ := watched(t, here)
	var worst time.Duration
	for version := int64(2); version < 32; version++ {
		var committing time.Time
		update(there, func(tx vault.Tx) error { committing = time.Now(); return putRecord(version)(tx) })
		worst = max(worst, rung(t, rings, "another's commit").Sub(committing))
		time.Sleep(25 * time.Millisecond) // more than is told as one
	}
	t.Logf("heard after %s at most", worst)
	if worst > time.Second {
		t.Errorf("heard after %s", worst)
	}
	update(here, putRecord(32))
	silent(t, rings, "our own commit")
	update(elsewhere, putRecord(2))
	silent(t, rings, "another vault's commit")
	failed := there.Update(t.Context(), func(tx vault.Tx) error { return errors.Join(putRecord(33)(tx), errors.New("no")) })
	if failed == nil {
		t.Fatal("a transaction that fails was committed")
	}
	silent(t, rings, "a transaction that failed")
	if err := there.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent(t, rings, "a probe")
}

// TestWatchTogether has many changes wake the waiting a few times only.
func TestWatchTogether(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	here, there := openStore(t, place), openStore(t, place)
	rings, _ := watched(t, here)
	began := time.Now()
	for version := int64(1); version <= 100; version++ {
		if err := there.Update(t.Context(), putRecord(version)); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	rung(t, rings, "100 changes")
	time.Sleep(100 * time.Millisecond)
	if n, most := len(rings), int(took/(20*time.Millisecond))+3; n > most {
		t.Errorf("%d rings in %s, want at most %d", n, took, most)
	}
}

// TestWatchEnds wants Watch to say that its connection is gone, and to hear again on a new one.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	name := "watch_" + u.Query().Get("search_path")
	here, there := openStore(t, base+"&application_name="+name), openStore(t, base)
	_, ended := watched(t, here)
	db := server(t, base)
	var n int
	const end = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`
	if err := db.QueryRowContext(t.Context(), end, name).Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d connections listen, %v", n, err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Watch answers that it will never hear")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Watch goes on without its connection")
	}
	rings, _ := watched(t, here)
	if err := there.Update(t.Context(), putRecord(1)); err != nil {
		t.Fatal(err)
	}
	if err := there.Update(t.Context(), putRecord(2)); err != nil {
		t.Fatal(err)
	}
	rung(t, rings, "a commit after connecting again")
}

// TestWatchBehindAPooler has the server's notifications get lost on the way, as
// a pooler loses them that gives connections away after each transaction.
func TestWatchBehindAPooler(t *testing.T) {
	t.Parallel()
	s := openStore(t, deaf(t, storetest.Postgres(t)))
	began := time.Now()
	err := s.Watch(t.Context(), func() { t.Error("it says that it hears") })
	if !errors.Is(err, sqlstore.ErrNotTold) {
		t.Errorf("Watch: %v, want ErrNotTold", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it noticed after %s", took)
	}
	if err := s.Update(t.Context(), putRecord(1)); err != nil {
		t.Error(err)
	}
}

// TestWatchFile wants a file's store to say that it never tells.
func TestWatchFile(t *testing.T) {
	t.Parallel()
	s := openStore(t, newPath(t))
	if err := s.Watch(t.Context(), func() { t.Error("a file tells") }); err != nil {
		t.Error(err)
	}
}

// TestRefusedNotification has the server refuse the notification, as it does
// when its queue is full and where it has none: what was to be stored is stored.
func TestRefusedNotification(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", q.Get("search_path")+",pg_catalog") // so that the schema's own function comes first
	u.RawQuery = q.Encode()
	s := openStore(t, u.String())
	server(t, place, `CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
		$$ BEGIN RAISE program_limit_exceeded USING MESSAGE = 'too many notifications in the NOTIFY queue'; END $$`)
	for version, wantRuns := range []int{0, 1, 2, 1} { // the second tells, and then it is quiet for a while
		if version == 0 {
			continue
		}
		runs := 0
		err := s.Update(t.Context(), func(tx vault.Tx) error { runs++; return putRecord(int64(version))(tx) })
		if err != nil || runs != wantRuns {
			t.Errorf("version %d: %v after %d runs, want %d", version, err, runs, wantRuns)
		}
	}
	if err := s.Watch(t.Context(), func() { t.Error("it says that it hears") }); err == nil {
		t.Error("Watch answers that it will never hear")
	}
}

// deaf answers place behind a line that lets everything of the server pass but notifications.
func deaf(t *testing.T, place string) string {
	t.Helper()
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	to := u.Host
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { withoutNotifications(client, server); _ = client.Close() }()
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

// withoutNotifications copies messages (a letter, a length, a body) but for those of letter A.
func withoutNotifications(client io.Writer, server io.Reader) {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'A' {
			continue
		}
		if _, err := client.Write(append(head, body...)); err != nil {
			return
		}
	}
}
