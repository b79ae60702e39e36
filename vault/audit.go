package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
)

// Entry is one line of the audit: who did what with which account. It never
// holds a token, an argument or what a tool answered, and of a person only
// their pseudonym: who that is stands in rows that go with the user.
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
	Detail     Detail
	// Summary is one line that a tool says of a call ("to #sales"). It is the one personal field: sealed under the caller's
	// key, so that the chain is over ciphertext, and nothing of it is left when the user is deleted.
	Summary string

	user    string // whose row it is about, where nobody called
	version string // of the program, where a process starts
	heads   []headNote
}

// Detail is what some kinds of entries say besides. What is zero is not written.
type Detail struct {
	// Call is the reference of a tool call, which the log and the person are shown, too; a release and its call have the same.
	Call string `json:"call,omitempty"`
	// Count is how often it happened since the entry before of the same, where that is more than once; of "tools.listed" and "audit.pruned", how many.
	Count int64 `json:"count,omitempty"`
	// Generation and Expires name the token of a release: the account's stored token set and its end in Unix milliseconds.
	Generation int64 `json:"generation,omitempty"`
	Expires    int64 `json:"expires,omitempty"`
	// Hash is a keyed hash of what is in force now (a tool's description, the configuration), Was of what was before.
	Hash string `json:"hash,omitempty"`
	Was  string `json:"was,omitempty"`
	// Arguments is a keyed hash of a call's arguments, ArgumentBytes their size.
	Arguments     string `json:"arguments,omitempty"`
	ArgumentBytes int    `json:"argument_bytes,omitempty"`
	// Approval is what a write was asked for, approved or released under.
	Approval string `json:"approval,omitempty"`
	// Decision is the rule that let a call run or not: "allow", "ask", "deny".
	Decision string `json:"decision,omitempty"`
	// Host is the last vendor's host that a call asked, Status the class of its last answer ("2xx"), Bytes what all answers held.
	Host   string `json:"host,omitempty"`
	Status string `json:"status,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Millis int64  `json:"ms,omitempty"` // how long a call took
	// Exchange says for whom a token left the program (token.exchanged).
	Exchange *Exchanged `json:"exchange,omitempty"`
	// Sent says that a call was ended after it had sent something: that may have happened.
	Sent bool `json:"sent,omitempty"`
}

// entryBody is the canonical form that the chain is over, beside seq, time, user and kind.
type entryBody struct {
	Agent      string     `json:"agent,omitempty"`
	AgentFrom  string     `json:"agent_issuer,omitempty"`
	Connection string     `json:"connection,omitempty"`
	Account    string     `json:"account,omitempty"`
	Scopes     []string   `json:"scopes,omitempty"`
	Tool       string     `json:"tool,omitempty"`
	Result     string     `json:"result"`
	Reason     string     `json:"reason,omitempty"`
	Instance   string     `json:"instance"`
	Version    string     `json:"version,omitempty"`
	Detail     Detail     `json:"detail,omitzero"`
	Summary    []byte     `json:"summary,omitempty"` // sealed
	Heads      []headNote `json:"heads,omitempty"`
}

// headNote is what an entry says of a stream's head when it was written, its own stream included.
type headNote struct {
	Stream string `json:"stream"`
	Seq    int64  `json:"seq"`
	MAC    []byte `json:"mac"`
	// Synced is the last number known to be on the disk before an unclean stop; 0 where there was none.
	Synced int64 `json:"synced,omitempty"`
}

// Audit writes an entry in a transaction of its own: for what changes no row (a mismatch, a rejected token).
func (v *Vault) Audit(ctx context.Context, e Entry) error {
	return v.journal.commit(ctx, v, &member{entry: e})
}

// append writes entries as part of tx, so that a change and its entry exist together or not at all.
func (v *Vault) append(tx Tx, entries ...Entry) error {
	stream := v.chain.stream()
	seq, mac, err := tx.Audit().Head(stream)
	if err != nil {
		return fmt.Errorf("reading audit head: %w", err)
	}
	sum := v.newChainMAC()
	rows := make([]AuditRow, len(entries))
	for i, e := range entries {
		seq++
		if rows[i], err = v.auditRow(tx, stream, seq, e); err != nil {
			return err
		}
		mac = sum.of(mac, rows[i])
		rows[i].MAC = mac
	}
	if err := tx.Audit().Append(rows); err != nil {
		return fmt.Errorf("writing audit: %w", err)
	}
	v.chain.appended.Add(int64(len(rows)))
	return nil
}

func (v *Vault) auditRow(tx Tx, stream string, seq int64, e Entry) (AuditRow, error) {
	if e.Result == "" {
		e.Result = "ok"
	}
	row := AuditRow{Stream: stream, Seq: seq, Time: v.now(), User: e.user, Kind: e.Kind}
	if !e.Caller.IsZero() {
		row.User = v.Pseudonym(e.Caller)
	}
	summary, err := v.sealSummary(tx, row, e.Summary)
	if err != nil {
		return row, fmt.Errorf("sealing audit entry: %w", err)
	}
	row.Body, err = json.Marshal(entryBody{
		Agent: e.Agent.ID, AgentFrom: e.Agent.Issuer, Connection: e.Connection, Account: e.Account,
		Scopes: e.Scopes, Tool: e.Tool, Result: e.Result, Reason: e.Reason, Instance: v.cfg.Instance,
		Version: e.version, Detail: e.Detail, Summary: summary, Heads: e.heads,
	})
	if err != nil {
		return row, fmt.Errorf("encoding audit entry: %w", err)
	}
	return row, nil
}

// chainMAC computes MAC = HMAC-SHA256(k_audit, MAC before ‖ canonical row). It is not safe for concurrent use.
type chainMAC struct {
	hash hash.Hash
	buf  []byte
}

func (v *Vault) newChainMAC() *chainMAC { return &chainMAC{hash: hmac.New(sha256.New, v.keys.audit)} }

func (m *chainMAC) of(prev []byte, r AuditRow) []byte {
	m.buf = append(m.buf[:0], prev...)
	m.buf = binary.BigEndian.AppendUint64(m.buf, uint64(r.Seq))
	m.buf = binary.BigEndian.AppendUint64(m.buf, uint64(r.Time))
	for _, s := range [...]string{r.Stream, r.User, r.Kind} {
		m.buf = binary.BigEndian.AppendUint32(m.buf, uint32(len(s)))
		m.buf = append(m.buf, s...)
	}
	m.buf = binary.BigEndian.AppendUint32(m.buf, uint32(len(r.Body)))
	m.buf = append(m.buf, r.Body...)
	m.hash.Reset()
	m.hash.Write(m.buf)
	return m.hash.Sum(nil)
}
