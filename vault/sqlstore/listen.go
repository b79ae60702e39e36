package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/grantry/grantry/vault"
)

const (
	// askChannel names the channel of this schema; channels belong to a database.
	askChannel = `SELECT 'grantry_' || current_schema()::regnamespace::oid::text`

	// notifyAll goes out with the commit, so never for a transaction that failed.
	notifyAll = `SELECT pg_notify('grantry_' || current_schema()::regnamespace::oid::text, $1)`

	echoLimit   = 2 * time.Second       // for a notification of our own to come back
	echoEvery   = 30 * time.Second      // how often one is sent: the line may be dead, or a pooler have come between
	quietFor    = time.Minute           // after the server refused to take a notification
	coalesce    = 20 * time.Millisecond // changes that come together wake the waiting once
	echoSuffix  = " echo"
	goodbyeTime = time.Second
)

var (
	// ErrNotTold says that the server takes LISTEN and yet delivers nothing: a
	// pooler that gives connections away after each transaction stands between.
	ErrNotTold = errors.New("notifications do not arrive")

	errTell = errors.New("telling other processes of a change")
)

var _ vault.Watcher = (*Store)(nil)

// Watch implements vault.Watcher by LISTEN on a connection of its own. A
// notification that the store sends itself through another connection must come
// back within two seconds, at first and then twice a minute: else the answer is
// ErrNotTold. A SQLite file never tells; the answer is then nil at once.
func (s *Store) Watch(ctx context.Context, changed func()) error {
	d, ok := s.dialect.(*postgres)
	if !ok {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	s.busy.Done() // a store that closes does not wait for who only listens
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := d.listen(ctx)
	if err != nil {
		return err
	}
	go l.hear(ctx)
	defer func() { cancel(); <-l.ended; l.close() }()
	for {
		if err := l.prove(ctx, d); err != nil {
			return err
		}
		changed()
		if err := l.pass(ctx, changed); err != nil {
			return err
		}
	}
}

// listener is a connection that hears of changes.
type listener struct {
	conn  *pgx.Conn
	own   string        // the store that it belongs to
	news  chan struct{} // another one has changed something
	echo  chan struct{} // our own proof has come back
	ended chan struct{} // it hears no more
	err   error         // why, once it has ended
}

func (d *postgres) listen(ctx context.Context) (*listener, error) {
	conn, err := pgx.ConnectConfig(ctx, d.server.Copy())
	if err != nil {
		return nil, fmt.Errorf("connecting to listen: %w", err)
	}
	l := &listener{conn: conn, own: d.id, news: make(chan struct{}, 1), echo: make(chan struct{}, 1), ended: make(chan struct{})}
	var channel string
	if err := conn.QueryRow(ctx, askChannel, pgx.QueryExecModeSimpleProtocol).Scan(&channel); err != nil {
		l.close()
		return nil, fmt.Errorf("asking for the channel: %w", err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize(), pgx.QueryExecModeSimpleProtocol); err != nil {
		l.close()
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

func (l *listener) close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	_ = l.conn.Close(ctx)
}

// hear sorts what comes until the connection or ctx ends.
func (l *listener) hear(ctx context.Context) {
	defer close(l.ended)
	for {
		n, err := l.conn.WaitForNotification(ctx)
		if err != nil {
			l.err = fmt.Errorf("listening: %w", err)
			return
		}
		into := l.news
		switch {
		case n.Payload == l.own+echoSuffix:
			into = l.echo
		case n.Payload == l.own || strings.HasSuffix(n.Payload, echoSuffix):
			continue
		}
		select {
		case into <- struct{}{}:
		default: // it is told already
		}
	}
}

// prove sends a notification through another connection and waits for it.
func (l *listener) prove(ctx context.Context, d *postgres) error {
	ctx, cancel := context.WithTimeout(ctx, echoLimit)
	defer cancel()
	if _, err := d.ask.ExecContext(ctx, notifyAll, l.own+echoSuffix); err != nil {
		return fmt.Errorf("sending a notification: %w", err)
	}
	select {
	case <-l.echo:
		return nil
	case <-l.ended:
		return l.err
	case <-ctx.Done():
		return errors.Join(ErrNotTold, ctx.Err())
	}
}

// pass calls changed for news until it is time for another proof.
func (l *listener) pass(ctx context.Context, changed func()) error {
	proof := time.NewTimer(echoEvery)
	defer proof.Stop()
	for {
		select {
		case <-l.news:
			changed()
			time.Sleep(coalesce)
		case <-proof.C:
			return nil
		case <-l.ended:
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// teller puts a notification into transactions whose change others may wait for.
type teller struct {
	id    string       // ours, so that our own ears let it pass
	quiet atomic.Int64 // until then nothing is told, Unix milliseconds
}

// tell answers errTell when the server takes no notification: the transaction
// is lost then, and done again without, for what is to be stored matters more.
func (d *teller) tell(t *tx) error {
	if !t.news || time.Now().UnixMilli() < d.quiet.Load() {
		t.news = false
		return nil
	}
	_, err := t.exec(notifyAll, d.id)
	return d.untold(t, err)
}

// untold notes a refusal. A server whose queue is full says so at the commit.
func (d *teller) untold(t *tx, err error) error {
	var e *pgconn.PgError
	if !t.news || !errors.As(err, &e) || e.SeverityUnlocalized != "ERROR" || e.Code == "40001" || e.Code == "40P01" {
		return err
	}
	d.quiet.Store(time.Now().Add(quietFor).UnixMilli())
	return errors.Join(errTell, err)
}
