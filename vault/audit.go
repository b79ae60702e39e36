package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Stream is the name of the audit chain of a store that one file holds.
const Stream = "main"

// Entry is one line of the audit: who did what with which account. It never
// holds a token, an argument or what a tool answered.
type Entry struct {
	Kind       string // "grant.stored", "token.released", "ticket.opened", "connect.subject_mismatch", …
	Caller     Caller
	Agent      Agent
	Connection string
	Account    string // grant id
	Scopes     []string
	Tool       string
	Result     string // "ok" or "refused"
	Reason     string // our codes only

	user string // whose row it is about, where nobody called
}

// entryBody is the canonical form that the chain is over, beside seq, time, user and kind.
type entryBody struct {
	Agent      string   `json:"agent,omitempty"`
	AgentFrom  string   `json:"agent_issuer,omitempty"`
	Connection string   `json:"connection,omitempty"`
	Account    string   `json:"account,omitempty"`
	Scopes     []string `json:"scopes,omitempty"`
	Tool       string   `json:"tool,omitempty"`
	Result     string   `json:"result"`
	Reason     string   `json:"reason,omitempty"`
	Instance   string   `json:"instance"`
}

// Audit writes an entry in a transaction of its own: for what changes no row (a mismatch, a rejected token).
func (v *Vault) Audit(ctx context.Context, e Entry) error { return v.journal.commit(ctx, v, e, nil) }

// append writes entries as part of tx, so that a change and its entry exist together or not at all.
func (v *Vault) append(tx Tx, entries ...Entry) error {
	seq, mac, err := tx.Audit().Head(Stream)
	if err != nil {
		return fmt.Errorf("reading audit head: %w", err)
	}
	rows := make([]AuditRow, len(entries))
	for i, e := range entries {
		seq++
		if rows[i], err = v.link(seq, mac, e); err != nil {
			return err
		}
		mac = rows[i].MAC
	}
	if err := tx.Audit().Append(rows); err != nil {
		return fmt.Errorf("writing audit: %w", err)
	}
	return nil
}

func (v *Vault) link(seq int64, prev []byte, e Entry) (AuditRow, error) {
	if e.Result == "" {
		e.Result = "ok"
	}
	body, err := json.Marshal(entryBody{
		Agent: e.Agent.ID, AgentFrom: e.Agent.Issuer, Connection: e.Connection, Account: e.Account,
		Scopes: e.Scopes, Tool: e.Tool, Result: e.Result, Reason: e.Reason, Instance: v.cfg.Instance,
	})
	if err != nil {
		return AuditRow{}, fmt.Errorf("encoding audit entry: %w", err)
	}
	row := AuditRow{Stream: Stream, Seq: seq, Time: v.now(), User: e.user, Kind: e.Kind, Body: body}
	if !e.Caller.IsZero() {
		row.User = v.Pseudonym(e.Caller)
	}
	row.MAC = v.chain(prev, row)
	return row, nil
}

// chain is MAC = HMAC-SHA256(k_audit, MAC before ‖ canonical row).
func (v *Vault) chain(prev []byte, r AuditRow) []byte {
	m := hmac.New(sha256.New, v.keys.audit)
	m.Write(prev)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(r.Seq)))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(r.Time)))
	for _, p := range [][]byte{[]byte(r.Stream), []byte(r.User), []byte(r.Kind), r.Body} {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		m.Write(p)
	}
	return m.Sum(nil)
}

// VerifyAudit walks the chain and answers the number of entries. A broken link is a *ChainError with the first bad number.
func (v *Vault) VerifyAudit(ctx context.Context) (n int64, err error) {
	var prev []byte
	for {
		var rows []AuditRow
		if err := v.store.View(ctx, func(tx Tx) error { rows, err = tx.Audit().Read(Stream, n+1, 1000); return err }); err != nil {
			return n, fmt.Errorf("reading audit: %w", err)
		}
		if len(rows) == 0 {
			return n, nil
		}
		for _, r := range rows {
			if r.Seq != n+1 || !hmac.Equal(r.MAC, v.chain(prev, r)) {
				return n, &ChainError{Seq: n + 1}
			}
			prev, n = r.MAC, r.Seq
		}
	}
}

// ChainError names the first entry that is missing or was changed.
type ChainError struct{ Seq int64 }

// Error names the entry.
func (e *ChainError) Error() string { return fmt.Sprintf("audit chain broken at entry %d", e.Seq) }
