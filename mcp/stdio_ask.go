package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

var (
	errClientRefused = errors.New("client does not answer the form")
	errClientGone    = errors.New("client is gone")
)

// questions are requests of ours to the client that have no answer yet.
type questions struct {
	last int
	open map[string]chan json.RawMessage // by id, as it is written
}

// RequestElicitation implements server.SessionWithElicitation: it asks the
// client, and waits for its answer or the end of ctx.
func (t *stdio) RequestElicitation(ctx context.Context, r mcpgo.ElicitationRequest) (*mcpgo.ElicitationResult, error) {
	id, answer := t.expect()
	defer t.unexpect(id)
	t.write(mcpgo.JSONRPCRequest{
		JSONRPC: mcpgo.JSONRPC_VERSION, ID: mcpgo.NewRequestId(id), Params: r.Params,
		Request: mcpgo.Request{Method: string(mcpgo.MethodElicitationCreate)},
	})
	select {
	case raw := <-answer:
		return elicitationResult(raw)
	case <-t.closing:
		return nil, errClientGone
	case <-ctx.Done():
		t.write(mcpgo.JSONRPCNotification{
			JSONRPC: mcpgo.JSONRPC_VERSION,
			Notification: mcpgo.Notification{
				Method: string(mcpgo.MethodNotificationCancelled),
				Params: mcpgo.NotificationParams{AdditionalFields: map[string]any{"requestId": id}},
			},
		})
		return nil, ctx.Err()
	}
}

// elicitationResult reads a response to elicitation/create.
func elicitationResult(raw json.RawMessage) (*mcpgo.ElicitationResult, error) {
	var m struct {
		Result *mcpgo.ElicitationResult `json:"result"`
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Result == nil {
		return nil, errClientRefused
	}
	return m.Result, nil
}

func (t *stdio) expect() (id string, answer chan json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking.last++
	id, answer = fmt.Sprintf("grantry-%d", t.asking.last), make(chan json.RawMessage, 1)
	t.asking.open[id] = answer
	return id, answer
}

func (t *stdio) unexpect(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.asking.open, id)
}

// responded hands a response to who waits for it. One that nobody waits for any more is dropped: an answer after a cancellation counts for nothing.
func (t *stdio) responded(m message, raw []byte) {
	var id string
	if json.Unmarshal(m.ID, &id) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if answer := t.asking.open[id]; answer != nil {
		delete(t.asking.open, id)
		answer <- raw
	}
}
