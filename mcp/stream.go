package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/grantry/grantry/vault"
)

const (
	// pulse is how often an open stream is looked after: a comment keeps it alive, and its
	// bearer is proved again, so that it ends within 30 s after its token or its user does (R44).
	pulse         = 10 * time.Second
	completeEvery = time.Second // a stream looks for notices that another process has left for it
	noticeTTL     = 10 * time.Minute
	recComplete   = "mcp/complete" // ids of elicitations that are done, by session
)

// lifetime ends streams that live as long as their client when the server stops
// or when who listens may no longer, and writes the final result of a listen
// request, which mcp-go drops once its context is over.
func (s *Server) lifetime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		listen := m.Method == string(mcpgo.MethodSubscriptionsListen)
		own, ours := w.(*response)
		if !ours || !listen && r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		o, _ := originOf(ctx)
		if o.client.id != "" {
			defer s.streams.hold(o.client.id, own)()
		}
		go s.tend(ctx, cancel, own, o)
		next.ServeHTTP(w, r.WithContext(ctx))
		if listen && m.ID != nil && ctx.Err() != nil && r.Context().Err() == nil {
			writeFinal(w, m.ID)
		}
	})
}

// tend keeps a stream alive, hands it what other processes have left for it, and
// ends it when its bearer is no longer good.
func (s *Server) tend(ctx context.Context, end func(), w *response, o origin) {
	beat := time.NewTicker(s.cfg.Pulse)
	defer beat.Stop()
	var complete <-chan time.Time
	if o.client.url {
		ticker := time.NewTicker(completeEvery)
		defer ticker.Stop()
		complete = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-complete:
			s.completed(ctx, w, o.client.id)
		case <-beat.C:
			if !s.good(ctx, o) {
				end()
				return
			}
			w.comment()
		}
	}
}

// good says whether the bearer of a stream still is. That it could not be told ends nothing.
func (s *Server) good(ctx context.Context, o origin) bool {
	if !o.until.IsZero() && !s.cfg.Now().Before(o.until) {
		return false
	}
	if o.again == nil {
		return true
	}
	_, bad := errors.AsType[*TokenError](o.again(ctx))
	return !bad
}

// writeFinal ends a subscriptions/listen stream as the server's own end of it
// (2026-07-28, patterns/subscriptions).
func writeFinal(w http.ResponseWriter, id json.RawMessage) {
	_, _ = fmt.Fprintf(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"resultType\":\"complete\",\"_meta\":{%q:%s}}}\n\n",
		id, mcpgo.MetaKeySubscriptionID, id)
}

// streams are the open streams of 2025-era sessions in this process.
type streams struct {
	mu   sync.Mutex
	held map[string]sink // by session, the newest
}

// hold keeps a session's stream until release is called.
func (x *streams) hold(session string, to sink) (release func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.held[session] = to
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.held[session] == to {
			delete(x.held, session)
		}
	}
}

func (x *streams) of(session string) (sink, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	to, ok := x.held[session]
	return to, ok
}

// tellComplete tells a session that an elicitation is done: on its stream, or by
// a record for the process that holds the stream.
func (s *Server) tellComplete(ctx context.Context, owner vault.Caller, session, elicitation string) error {
	if to, ok := s.streams.of(session); ok {
		to.notify(completeNotice(elicitation))
		return nil
	}
	if s.cfg.Records == nil {
		return nil
	}
	err := s.cfg.Records.Change(ctx, recComplete, session, func(old []byte) ([]byte, time.Duration, error) {
		var ids []string
		_ = json.Unmarshal(old, &ids)
		raw, err := json.Marshal(append(ids, elicitation))
		return raw, noticeTTL, err
	})
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	raw, err := json.Marshal([]string{elicitation})
	if err != nil {
		return fmt.Errorf("writing notice: %w", err)
	}
	return s.cfg.Records.Put(ctx, recComplete, session, owner, raw, noticeTTL)
}

// completed writes what tellComplete of any process has left for a session.
func (s *Server) completed(ctx context.Context, w *response, session string) {
	raw, err := s.cfg.Records.Get(ctx, recComplete, session) // a look costs no write
	if err == nil {
		raw, err = s.cfg.Records.Take(ctx, recComplete, session)
	}
	var ids []string
	if err != nil || json.Unmarshal(raw, &ids) != nil {
		return
	}
	for _, id := range ids {
		w.notify(completeNotice(id))
	}
}

func completeNotice(elicitation string) mcpgo.JSONRPCNotification {
	return notification(mcpgo.MethodNotificationElicitationComplete, map[string]any{"elicitationId": elicitation})
}
