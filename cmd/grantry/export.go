package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

// moment is a time that a person gives: RFC 3339, or a day in UTC.
type moment time.Time

// UnmarshalText takes "2026-11-22" and "2026-11-22T08:00:00Z".
func (m *moment) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			*m = moment(t)
			return nil
		}
	}
	return fmt.Errorf("%q must be a time such as 2026-11-22T08:00:00Z, or a day such as 2026-11-22", text)
}

type auditExport struct {
	Since  moment `help:"From this time on: 2026-11-22 or 2026-11-22T08:00:00Z." placeholder:"TIME"`
	Until  moment `help:"Before this time." placeholder:"TIME"`
	User   given  `help:"Only about this person: e-mail, subject or pseudonym." placeholder:"WHO"`
	Kind   given  `help:"Only of this kind, as token.released; all that begin with it when it ends in a dot, as grant." placeholder:"KIND"`
	Format string `help:"jsonl or csv." enum:"jsonl,csv" default:"jsonl"`
}

// Run writes the entries to stdout. That somebody did is an entry itself, and the last one.
func (c *auditExport) Run(e *env) error {
	v, err := e.auditVault()
	if err != nil {
		return err
	}
	if err := v.Audit(e.ctx, vault.Entry{Kind: "audit.exported"}); err != nil {
		return fmt.Errorf("writing to the audit that it is exported: %w", err)
	}
	out := bufio.NewWriter(e.out)
	write, flush := c.writer(out)
	q := vault.AuditQuery{Since: time.Time(c.Since), Until: time.Time(c.Until), User: string(c.User), Kind: string(c.Kind)}
	for entry, err := range v.AuditLog(e.ctx, q) {
		if err != nil {
			return err
		}
		if err := write(auditLineOf(entry)); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return out.Flush()
}

func (c *auditExport) writer(out io.Writer) (write func(auditLine) error, flush func() error) {
	if c.Format == "jsonl" {
		return func(l auditLine) error { return writeJSONL(out, l) }, func() error { return nil }
	}
	w := csv.NewWriter(out)
	_ = w.Write(auditColumns()) // it keeps its error until the end
	return func(l auditLine) error { return w.Write(cells(l)) }, func() error { w.Flush(); return w.Error() }
}

func auditColumns() []string {
	return []string{"seq", "time", "kind", "user", "agent", "connection", "account", "scopes", "tool", "result", "reason", "mac", "stream", "detail"}
}

func cells(l auditLine) []string {
	row := []string{
		strconv.FormatInt(l.Seq, 10), l.Time, l.Kind, l.User, l.Agent, l.Connection, l.Account,
		strings.Join(l.Scopes, " "), l.Tool, l.Result, l.Reason, l.MAC, l.Stream, detailCell(l.Detail),
	}
	for i := range row {
		row[i] = plainCell(row[i])
	}
	return row
}

// detailCell is the detail as JSON, "" for none.
func detailCell(d vault.Detail) string {
	raw, err := json.Marshal(d)
	if err != nil || d == (vault.Detail{}) {
		return ""
	}
	return string(raw)
}

// plainCell keeps a spreadsheet from taking text for a formula (ASVS 1.2.10):
// agents and people name themselves.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n\x00", rune(s[0])) {
		return "'" + s
	}
	return s
}
