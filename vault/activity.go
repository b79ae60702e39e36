package vault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/grantry/grantry/vault/seal"
)

const (
	summaryMost = 200 // bytes of a summary

	activityPage = 50
	activityMost = 200
	activityScan = 5000 // of a person's entries that one page looks at, so that a filter which fits few is quick, too
)

// Activity is an entry of the audit as the person sees it whom it is about.
type Activity struct {
	AuditEntry
	Summary      string // what the tool said of the call, "" when nothing
	AgentName    string // Agent.Label, as far as it is known yet; else the agent's id
	AccountLabel string // "" when the account is gone
}

// ActivityQuery names entries of one person; the zero query the newest of all.
type ActivityQuery struct {
	Agent   string   // AgentKey
	Account string   // Account.ID
	Tool    string   // name
	Kinds   []string // or their beginnings, where they end in "."; none = all
	Before  string   // cursor of the page before; "" = from now
	Limit   int      // of one page; 0 = 50, at most 200
}

// Activity are the caller's own entries but for "token.released", which the entry of a
// call stands for: newest first, with the cursor of the next
// page, "" when there is none. A page can be shorter than Limit, even empty, and
// have a next one: it looks at 5,000 entries. ErrNotFound says that Before is no cursor.
func (v *Vault) Activity(ctx context.Context, c Caller, q ActivityQuery) (page []Activity, next string, err error) {
	before, err := readMark(q.Before)
	if err != nil {
		return nil, "", err
	}
	if q.Limit <= 0 {
		q.Limit = activityPage
	}
	q.Limit = min(q.Limit, activityMost)
	err = v.store.View(ctx, func(tx Tx) error {
		page, next, err = v.activity(tx, v.Pseudonym(c), q, before)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("reading activity: %w", err)
	}
	return page, next, nil
}

func (v *Vault) activity(tx Tx, user string, q ActivityQuery, before AuditMark) (page []Activity, next string, err error) {
	names, err := v.namesOf(tx, user)
	if err != nil {
		return nil, "", err
	}
	for range activityScan / logBatch {
		rows, err := tx.Audit().Of(user, before, logBatch)
		if err != nil {
			return nil, "", err
		}
		for _, r := range rows {
			before = markOf(r)
			e, body := readAuditRow(r)
			if !v.wanted(q, e) {
				continue
			}
			a := Activity{AuditEntry: e, AgentName: names.agent(v, e), AccountLabel: names.accounts[e.Account]}
			if a.Summary, err = v.openSummary(tx, names, r, body.Summary); err != nil {
				return nil, "", err
			}
			if page = append(page, a); len(page) == q.Limit {
				return page, before.String(), nil
			}
		}
		if len(rows) < logBatch {
			return page, "", nil
		}
	}
	return page, before.String(), nil
}

func (v *Vault) wanted(q ActivityQuery, e AuditEntry) bool {
	fits := func(kind string) bool { return kindFits(kind, e.Kind) }
	return (q.Account == "" || q.Account == e.Account) && (q.Tool == "" || q.Tool == e.Tool) &&
		(q.Agent == "" || e.Agent != "" && q.Agent == v.agentKey(Agent{Issuer: e.AgentFrom, ID: e.Agent})) &&
		(len(q.Kinds) == 0 || slices.ContainsFunc(q.Kinds, fits))
}

// names are what the ids in a person's entries stand for.
type names struct {
	agents, accounts map[string]string
	keys             map[seal.DEKID]bool // that the store has of them
}

func (v *Vault) namesOf(tx Tx, user string) (names, error) {
	n := names{agents: map[string]string{}, accounts: map[string]string{}, keys: map[seal.DEKID]bool{}}
	keys, err := tx.Keys().Of(user)
	if err != nil {
		return n, err
	}
	for _, k := range keys {
		n.keys[seal.DEKID(k.ID)] = true
	}
	accounts, err := v.accounts(tx, user)
	if err != nil {
		return n, err
	}
	for _, a := range accounts {
		n.accounts[a.row.ID] = a.profile.label()
	}
	access, err := v.accessOf(tx, user)
	for _, a := range access {
		n.agents[v.agentKey(a.Agent)] = a.Agent.Label()
	}
	return n, err
}

func (n names) agent(v *Vault, e AuditEntry) string {
	a := Agent{Issuer: e.AgentFrom, ID: e.Agent}
	if name := n.agents[v.agentKey(a)]; name != "" {
		return name
	}
	return a.Label()
}

func markOf(r AuditRow) AuditMark { return AuditMark{Time: r.Time, Stream: r.Stream, Seq: r.Seq} }

// String is the mark as a cursor.
func (m AuditMark) String() string {
	return strconv.FormatInt(m.Time, 10) + "." + strconv.FormatInt(m.Seq, 10) + "." + m.Stream
}

func readMark(s string) (m AuditMark, err error) {
	if s == "" {
		return m, nil
	}
	at, rest, _ := strings.Cut(s, ".")
	seq, stream, _ := strings.Cut(rest, ".")
	m.Stream = stream
	if m.Time, err = strconv.ParseInt(at, 10, 64); err == nil {
		m.Seq, err = strconv.ParseInt(seq, 10, 64)
	}
	if err != nil || m == (AuditMark{}) {
		return m, fmt.Errorf("reading cursor: %w", ErrNotFound)
	}
	return m, nil
}

// sealSummary seals it under the data key in use; a fresh one is for transactions that
// write more than entries. There is none of a person whom the vault does not hold (any more).
func (v *Vault) sealSummary(tx Tx, row AuditRow, text string) ([]byte, error) {
	if text == "" || row.User == "" {
		return nil, nil
	}
	u, err := tx.Users().Get(row.User)
	if err != nil {
		return nil, unless(ErrNotFound, err)
	}
	dek, err := v.dataKey(tx, u)
	if err != nil {
		return nil, unlessDamaged(err)
	}
	return dek.Seal(v.summaryPlace(row), []byte(oneLine(text)))
}

// openSummary answers "" for one that opens no more, and for one whose key the
// store has not: this process may remember the key of a user who was deleted.
func (v *Vault) openSummary(tx Tx, n names, row AuditRow, blob []byte) (string, error) {
	id, err := seal.BlobDEK(blob)
	if err != nil || !n.keys[id] {
		return "", nil
	}
	dek, err := v.dataKeyByID(tx, row.User, id[:])
	if err != nil {
		return "", unlessDamaged(err)
	}
	plain, err := dek.Open(v.summaryPlace(row), blob)
	return string(plain), unlessDamaged(err)
}

func (v *Vault) summaryPlace(r AuditRow) seal.Place {
	return seal.Place{Tenant: v.id, Subject: r.User, Table: "audit", Column: "summary", Row: r.Stream + "/" + strconv.FormatInt(r.Seq, 10)}
}

// oneLine is text without control characters, at most 200 bytes.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(text) <= summaryMost {
		return text
	}
	cut := summaryMost - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
