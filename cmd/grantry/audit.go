package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
)

type auditCmd struct {
	Tail   auditTail   `cmd:"" help:"The last entries."`
	Export auditExport `cmd:"" help:"All entries, as JSON lines or CSV, to stdout."`
	Prune  auditPrune  `cmd:"" help:"Remove the entries of past months for good; what is left is verified on from there."`
	Verify auditVerify `cmd:"" help:"Prove that no entry was changed, removed or inserted; with --anchor also that none was cut off."`
}

// auditVault opens the vault also where it does not fit its anchor: these commands are how a person looks into that.
func (e *env) auditVault() (*vault.Vault, error) {
	a, err := e.open(app.Options{AnyAnchor: true})
	if err != nil {
		return nil, err
	}
	return a.Vault(e.ctx)
}

// auditLine is an entry as JSON; its keys are a public contract.
type auditLine struct {
	Stream     string   `json:"stream,omitempty"` // where it is not "main"
	Seq        int64    `json:"seq"`
	Time       string   `json:"time"`
	Kind       string   `json:"kind"`
	User       string   `json:"user"`
	Agent      string   `json:"agent"`
	Connection string   `json:"connection"`
	Account    string   `json:"account"`
	Scopes     []string `json:"scopes"`
	Tool       string   `json:"tool"`
	Result     string   `json:"result"`
	Reason     string   `json:"reason"`
	MAC        string   `json:"mac"`

	Detail vault.Detail `json:"detail,omitzero"` // what some kinds say besides
}

func auditLineOf(e vault.AuditEntry) auditLine {
	l := auditLine{
		Seq: e.Seq, Time: e.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Kind: e.Kind, User: e.Person, Agent: e.Agent, Connection: e.Connection,
		Account: e.Account, Scopes: e.Scopes, Tool: e.Tool, Result: e.Result, Reason: e.Reason, MAC: hex.EncodeToString(e.MAC),
	}
	if e.Stream != vault.Stream {
		l.Stream = e.Stream
	}
	if l.User == "" {
		l.User = e.User
	}
	l.Detail = e.Detail
	if l.Scopes == nil {
		l.Scopes = []string{}
	}
	return l
}

func writeJSONL(w io.Writer, l auditLine) error { return json.NewEncoder(w).Encode(l) }

// writeText prints an entry for a person to read.
func writeText(w io.Writer, l auditLine) error {
	stream := ""
	if l.Stream != "" {
		stream = l.Stream + "/"
	}
	fields := []string{l.Time, stream + fmt.Sprint(l.Seq), l.Kind}
	for _, f := range [][2]string{
		{"user", l.User},
		{"agent", l.Agent},
		{"connection", l.Connection},
		{"account", l.Account},
		{"tool", l.Tool},
		{"reason", l.Reason},
		{"status", l.Detail.Status},
	} {
		if f[1] != "" {
			fields = append(fields, f[0]+"="+printable(f[1]))
		}
	}
	if l.Detail.Count > 1 {
		fields = append(fields, fmt.Sprintf("count=%d", l.Detail.Count))
	}
	if l.Result != "ok" {
		fields = append(fields, l.Result)
	}
	_, err := fmt.Fprintln(w, strings.Join(fields, "  "))
	return err
}

// printable leaves out what could steer a terminal: some of it comes from clients.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

type auditTail struct {
	Lines  int  `short:"n" help:"How many." default:"10" placeholder:"N"`
	Follow bool `help:"Go on with new entries until interrupted."`
}

// followEvery is how often --follow looks for new entries.
const followEvery = time.Second

// Run prints the last entries, by time.
func (c *auditTail) Run(e *env) error {
	if c.Lines < 0 {
		return &app.UsageError{Text: "-n must not be less than 0"}
	}
	v, err := e.auditVault()
	if err != nil {
		return err
	}
	heads, err := v.AuditHeads(e.ctx)
	if err != nil {
		return err
	}
	from := map[string]int64{}
	for _, h := range heads {
		from[h.Stream] = h.Seq - int64(c.Lines) + 1
	}
	var last []auditLine
	for entry, err := range v.AuditLog(e.ctx, vault.AuditQuery{From: from}) {
		if err != nil {
			return err
		}
		from[entry.Stream] = entry.Seq + 1
		if last = append(last, auditLineOf(entry)); len(last) > c.Lines {
			last = last[1:]
		}
	}
	for _, l := range last {
		if err := c.print(e, l); err != nil {
			return err
		}
	}
	if !c.Follow {
		return nil
	}
	return c.follow(e, v, from)
}

func (c *auditTail) print(e *env, l auditLine) error {
	if e.common.JSON {
		return writeJSONL(e.out, l)
	}
	return writeText(e.out, l)
}

func (c *auditTail) follow(e *env, v *vault.Vault, from map[string]int64) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return nil
		case <-tick.C:
		}
		for entry, err := range v.AuditLog(e.ctx, vault.AuditQuery{From: from}) {
			if err != nil {
				return err
			}
			from[entry.Stream] = entry.Seq + 1
			if err := c.print(e, auditLineOf(entry)); err != nil {
				return err
			}
		}
	}
}

type auditVerify struct {
	Anchor given `help:"File of an anchor to compare with. Default: that of audit.anchor, if it is a file." placeholder:"FILE"`
	Accept bool  `help:"The vault was put back to an earlier state on purpose: what the anchor has seen beyond it no longer counts."`
}

// Run walks the chains. What is wrong is exit code 1.
func (c *auditVerify) Run(e *env) error {
	v, err := e.auditVault()
	if err != nil {
		return err
	}
	if c.Accept {
		return c.accept(e, v)
	}
	check := vault.AuditCheck{}
	if check.Marks, err = c.marks(e); err != nil {
		return err
	}
	p := e.progress("Verifying the audit")
	check.Progress = p.set
	r, err := v.CheckAudit(e.ctx, check)
	p.end()
	if err != nil {
		return verdict(err)
	}
	c.say(e, r)
	return nil
}

// marks reads the anchor, if there is one.
func (c *auditVerify) marks(e *env) ([]vault.Mark, error) {
	path := string(c.Anchor)
	if path == "" {
		if path = e.app.AnchorFile(); path == "" {
			return nil, nil
		}
	}
	marks, unread, err := app.ReadAnchor(path)
	if c.Anchor == "" && errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(e.err, "There is no anchor at %s yet: it begins with the next start of grantry.\n", path)
		return nil, nil
	}
	if err != nil {
		return nil, &app.UsageError{Text: fmt.Sprintf("the anchor cannot be read: %v", err)}
	}
	if unread > 0 {
		fmt.Fprintf(e.err, "%s of %s cannot be read and count for nothing: a process that dies while it writes leaves such a line.\n", counted(unread, "line"), path)
	}
	if len(marks) == 0 {
		return nil, fmt.Errorf("%s holds no head of an audit: nothing can be compared with it", path)
	}
	return marks, nil
}

// verdict is what a broken chain means, for a person.
func verdict(err error) error {
	var chain *vault.ChainError
	var mark *vault.MarkError
	switch {
	case errors.Is(err, vault.ErrSegments):
		return fmt.Errorf("%w: somebody who has not got the vault's key has changed it. Keep a copy of the vault as it is, and look for who could write to it", err)
	case errors.As(err, &chain) && chain.Cut:
		return fmt.Errorf("%w: the entries from there on are gone, and another stream of this vault has seen them. Keep a copy of the vault as it is, and look for who could write to it", err)
	case errors.As(err, &chain):
		return fmt.Errorf("%w: it was changed, removed, or something was put in its place; what comes before it is whole. Keep a copy of the vault as it is, and look for who could write to it", err)
	case errors.As(err, &mark) && mark.Stranger:
		return fmt.Errorf("the anchor has no head of this vault: it was written for vault %s. Name this vault's own anchor", mark.Mark.Vault)
	case errors.As(err, &mark) && mark.Mark.Seq > mark.Head:
		return fmt.Errorf("audit chain broken at entry %d: %w, at %s. Entries were cut off, or the vault was put back to an earlier state; if that was on purpose, `grantry audit verify --accept` starts anew from here", mark.Head+1, err, mark.Mark.Time.Format(time.RFC3339))
	case errors.As(err, &mark):
		return fmt.Errorf("audit chain broken at entry %d: %w, at %s. The chain up to there was replaced by somebody who has the vault's key, or the vault was put back and went on; if that was on purpose, `grantry audit verify --accept` starts anew from here", mark.Mark.Seq, err, mark.Mark.Time.Format(time.RFC3339))
	}
	return err
}

func (c *auditVerify) say(e *env, r vault.AuditReport) {
	pruned := map[string]vault.AuditSegment{}
	for _, s := range r.Pruned {
		pruned[s.Stream] = s
	}
	for _, s := range r.Streams {
		fmt.Fprintf(e.out, "%s: %s, all whole", s.Stream, countedEntries(s.Seq-pruned[s.Stream].Count))
		if p, ok := pruned[s.Stream]; ok {
			fmt.Fprintf(e.out, "; %s from before %s were pruned", countedEntries(p.Count), p.Until.Format(time.DateOnly))
		}
		fmt.Fprintln(e.out)
	}
	if len(r.Streams) == 0 {
		fmt.Fprintln(e.out, "The audit has no entries yet.")
	}
	for _, x := range r.Crashes {
		fmt.Fprintf(e.out, "%s: a process stopped without saying so when entry %d was the last; all up to %d were on the disk by then, and none of those is missing\n", x.Stream, x.Head, x.Synced)
	}
	if r.Gone > 0 {
		fmt.Fprintf(e.out, "The anchor has %s of entries that were pruned: nothing can be said of those.\n", counted(r.Gone, "head"))
	}
	if r.Marks > 0 {
		fmt.Fprintf(e.out, "The anchor fits: %s found again.\n", counted(r.Marks, "head"))
		return
	}
	fmt.Fprintln(e.out, "Not compared with an anchor: entries cut off from the end would not show.")
}

func countedEntries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// accept is the operator's word. The chain itself must be whole.
func (c *auditVerify) accept(e *env, v *vault.Vault) error {
	if c.Anchor != "" {
		return &app.UsageError{Text: "--accept writes to the anchor that the config names; leave --anchor out"}
	}
	if e.cfg.Audit.Anchor == "" || e.cfg.Sandbox {
		return &app.UsageError{Text: "there is no anchor to start anew: set audit.anchor in the config"}
	}
	if _, err := v.CheckAudit(e.ctx, vault.AuditCheck{}); err != nil {
		return verdict(err)
	}
	if err := v.NewAnchorSegment(e.ctx, "accepted"); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.out, "Accepted: the audit goes on from here, and says so. What the anchor has from before no longer counts.")
	return err
}
