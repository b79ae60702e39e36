package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"
)

// AuditEntry is one entry of the audit as it is read.
type AuditEntry struct {
	Stream string
	Seq    int64
	Time   time.Time
	Kind   string
	User   string // pseudonym, "" where it is about nobody
	// Person is who the pseudonym stands for: label or subject. It is "" once the user was deleted.
	Person     string
	Agent      string // id
	AgentFrom  string // issuer of that id, "" on stdio
	Connection string
	Account    string // id
	Scopes     []string
	Tool       string
	Result     string // "ok" or "refused"; "unreadable" where the entry was changed
	Reason     string
	Detail     Detail
	MAC        []byte
}

// AuditQuery names entries; the zero query all of them.
type AuditQuery struct {
	From         map[string]int64 // first number by stream; a stream that is not named from 1
	Since, Until time.Time        // the first included, the second not; zero = open
	User         string           // pseudonym, label or subject
	Kind         string           // or its beginning, where it ends in "."
}

// logBatch is how many entries are read at a time.
const logBatch = 500

// AuditLog yields the entries that q names, of all streams by their time. An error ends it.
func (v *Vault) AuditLog(ctx context.Context, q AuditQuery) iter.Seq2[AuditEntry, error] {
	return func(yield func(AuditEntry, error) bool) {
		heads, err := v.AuditHeads(ctx)
		if err != nil {
			yield(AuditEntry{}, err)
			return
		}
		l := &auditLog{v: v, q: q, people: map[string]Person{}}
		for _, h := range heads {
			from, err := v.logFrom(ctx, q, h)
			if err != nil {
				yield(AuditEntry{}, err)
				return
			}
			l.cursors = append(l.cursors, &cursor{stream: h.Stream, next: from, last: h.Seq})
		}
		for {
			e, ok, err := l.pop(ctx)
			if err != nil {
				yield(AuditEntry{}, err)
				return
			}
			if !ok || !yield(e, nil) {
				return
			}
		}
	}
}

// logFrom is the number from which a stream is read.
func (v *Vault) logFrom(ctx context.Context, q AuditQuery, h AuditHead) (from int64, err error) {
	from = max(q.From[h.Stream], 1)
	if q.Since.IsZero() {
		return from, nil
	}
	err = v.store.View(ctx, func(tx Tx) error {
		rows, err := tx.Audit().Read(h.Stream, from, 1) // what is before it was pruned
		if err != nil || len(rows) == 0 {
			return err
		}
		from, err = firstSince(tx, h.Stream, rows[0].Seq, h.Seq, Millis(q.Since))
		return err
	})
	return from, err
}

// auditLog merges the streams.
type auditLog struct {
	v       *Vault
	q       AuditQuery
	cursors []*cursor
	people  map[string]Person
}

// cursor is how far one stream is read.
type cursor struct {
	stream     string
	next, last int64
	ahead      []AuditEntry
}

// pop answers the oldest entry of those that come next in their streams.
func (l *auditLog) pop(ctx context.Context) (e AuditEntry, ok bool, err error) {
	var first *cursor
	for _, c := range l.cursors {
		if err := l.fill(ctx, c); err != nil {
			return e, false, err
		}
		if len(c.ahead) > 0 && (first == nil || c.ahead[0].Time.Before(first.ahead[0].Time)) {
			first = c
		}
	}
	if first == nil {
		return e, false, nil
	}
	e, first.ahead = first.ahead[0], first.ahead[1:]
	return e, true, nil
}

// fill reads on in a stream until there is an entry that the query names, or no more.
func (l *auditLog) fill(ctx context.Context, c *cursor) error {
	for len(c.ahead) == 0 && c.next <= c.last {
		err := l.v.store.View(ctx, func(tx Tx) error {
			rows, err := tx.Audit().Read(c.stream, c.next, int(min(logBatch, c.last-c.next+1)))
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				c.next = c.last + 1
				return nil
			}
			c.next = rows[len(rows)-1].Seq + 1
			return l.take(tx, c, rows)
		})
		if err != nil {
			return fmt.Errorf("reading audit: %w", err)
		}
	}
	return nil
}

func (l *auditLog) take(tx Tx, c *cursor, rows []AuditRow) error {
	c.ahead = make([]AuditEntry, 0, len(rows))
	for _, r := range rows {
		e := ReadAuditRow(r)
		if e.Time.Before(l.q.Since) || !l.q.Until.IsZero() && !e.Time.Before(l.q.Until) || !kindFits(l.q.Kind, e.Kind) {
			continue
		}
		who, err := l.person(tx, e.User)
		if err != nil {
			return err
		}
		if e.Person = ""; who.Subject != "" {
			e.Person = who.Label()
		}
		if q := l.q.User; q == "" || q == e.User || q == who.Subject || strings.EqualFold(q, e.Person) {
			c.ahead = append(c.ahead, e)
		}
	}
	return nil
}

func kindFits(want, kind string) bool {
	return want == "" || want == kind || strings.HasSuffix(want, ".") && strings.HasPrefix(kind, want)
}

// ReadAuditRow decodes an entry. It does not verify it.
func ReadAuditRow(r AuditRow) AuditEntry {
	e, _ := readAuditRow(r)
	return e
}

// readAuditRow answers the body, too: what of it is sealed is in no AuditEntry.
func readAuditRow(r AuditRow) (AuditEntry, entryBody) {
	e := AuditEntry{Stream: r.Stream, Seq: r.Seq, Time: FromMillis(r.Time), Kind: r.Kind, User: r.User, MAC: r.MAC, Result: "unreadable"}
	var b entryBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return e, entryBody{}
	}
	e.Agent, e.AgentFrom = b.Agent, b.AgentFrom
	e.Connection, e.Account, e.Scopes, e.Tool, e.Result, e.Reason = b.Connection, b.Account, b.Scopes, b.Tool, b.Result, b.Reason
	e.Detail = b.Detail
	return e, b
}

// peopleKept bounds what a reader of the log remembers of people.
const peopleKept = 10_000

// person answers who a pseudonym stands for: the zero Person for nobody, and for who was deleted.
func (l *auditLog) person(tx Tx, key string) (Person, error) {
	if who, ok := l.people[key]; ok || key == "" {
		return who, nil
	}
	var u User
	row, err := tx.Users().Get(key)
	if err == nil {
		u, _, err = l.v.user(tx, row)
	}
	if unless(ErrNotFound, err) != nil {
		return Person{}, err
	}
	if len(l.people) >= peopleKept {
		clear(l.people)
	}
	l.people[key] = u.Person
	return u.Person, nil
}
