package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	anchorTimeout = 10 * time.Second
	anchorTail    = 64 << 10 // what a start reads of the file
	anchorLine    = 4 << 10  // longer ones are not ours
)

// AnchorFile is the file that audit.anchor names, "" for an address or none.
func (a *App) AnchorFile() string {
	if a.cfg.Sandbox || strings.Contains(a.cfg.Audit.Anchor, "://") {
		return ""
	}
	return a.cfg.Audit.Anchor
}

// anchor is where the config sends the heads of the audit, nil for nowhere.
func (a *App) anchor() vault.Anchor {
	switch to := a.cfg.Audit.Anchor; {
	case to == "":
		return nil
	case a.cfg.Sandbox:
		a.log.Info("the sandbox does not use audit.anchor")
		return nil
	case strings.Contains(to, "://"):
		return &anchorURL{address: to, client: &http.Client{
			Timeout:       anchorTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
	default:
		return anchorFile(to)
	}
}

// anchorFile is a file of JSON lines. Several processes may append to it.
type anchorFile string

// Append writes the lines in one piece, and to the disk.
func (f anchorFile) Append(_ context.Context, marks []vault.Mark) (err error) {
	lines, err := markLines(marks)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(string(f), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the anchor: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the anchor: %w", err)
	}
	last := []byte{'\n'}
	if n := info.Size(); n > 0 {
		if _, err := file.ReadAt(last, n-1); err != nil {
			return fmt.Errorf("reading the anchor: %w", err)
		}
	}
	if last[0] != '\n' { // somebody died in the middle of a line
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err := file.Write(lines); err != nil {
		return fmt.Errorf("writing the anchor: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("syncing the anchor: %w", err)
	}
	return syncFolder(filepath.Dir(string(f)), info.Size())
}

// syncFolder makes a new file's name last; where folders cannot be synced, nothing is to be done.
func syncFolder(dir string, before int64) error {
	if before > 0 {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}

func markLines(marks []vault.Mark) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, m := range marks {
		if err := enc.Encode(m); err != nil {
			return nil, fmt.Errorf("encoding a head: %w", err)
		}
	}
	return b.Bytes(), nil
}

// anchorURL gets the lines by POST.
type anchorURL struct {
	address string
	client  *http.Client
}

// Append posts the lines; any answer of 2xx says that they are kept. Its errors never show the address, which may hold a secret.
func (u *anchorURL) Append(ctx context.Context, marks []vault.Mark) error {
	lines, err := markLines(marks)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.address, bytes.NewReader(lines))
	if err != nil {
		return errors.New("posting to the anchor: its address cannot be used")
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := u.client.Do(req)
	var with *url.Error
	if errors.As(err, &with) {
		err = with.Err
	}
	if err != nil {
		return fmt.Errorf("posting to the anchor: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, anchorLine)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("posting to the anchor: it answered %d", resp.StatusCode)
	}
	return nil
}

// ReadAnchor answers what an anchor file holds, and how many of its lines cannot
// be read: a process that dies in the middle of one leaves such a line.
func ReadAnchor(path string) (marks []vault.Mark, unread int, err error) {
	return readAnchor(path, 0)
}

// readAnchor reads the last lines only, when last is not 0.
func readAnchor(path string, last int64) (marks []vault.Mark, unread int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, anchorLine)
	if info, err := f.Stat(); err == nil && last > 0 && info.Size() > last {
		if _, err := f.Seek(-last, io.SeekEnd); err != nil {
			return nil, 0, err
		}
		lines.Scan() // the rest of a line
	}
	for lines.Scan() {
		var m vault.Mark
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.Vault == "" {
			unread++
			continue
		}
		marks = append(marks, m)
	}
	return marks, unread, lines.Err()
}

// checkAnchor refuses a vault that lacks what its anchor has seen: entries were
// cut off, or the vault was put back. It is a *UsageError that says what to do.
func (a *App) checkAnchor(ctx context.Context, v *vault.Vault) error {
	path := a.AnchorFile()
	if path == "" || a.opts.AnyAnchor {
		return nil
	}
	marks, _, err := readAnchor(path, anchorTail)
	if errors.Is(err, fs.ErrNotExist) {
		if heads, err := v.AuditHeads(ctx); err == nil && len(heads) > 0 {
			a.log.Warn("there is no anchor yet, or no longer: what was cut from the audit before now does not show", "file", path)
		}
		return nil
	}
	if err != nil {
		return &UsageError{Text: fmt.Sprintf("audit.anchor: %v; make it readable, or name another file", err)}
	}
	err = v.CheckMarks(ctx, marks)
	var wrong *vault.MarkError
	if errors.As(err, &wrong) {
		return &UsageError{Text: anchorProblem(wrong, path)}
	}
	return err
}

// anchorProblem says what happened, and what to do.
func anchorProblem(e *vault.MarkError, path string) string {
	if e.Stranger {
		return fmt.Sprintf("the anchor %s was written for another vault: this one is new, or is not the one that you mean. "+
			"If it is to have its own, name another file in audit.anchor; else put the old vault back", path)
	}
	return fmt.Sprintf("the audit does not fit its anchor %s: %v. Somebody cut it off, or the vault was put back to an earlier state; grants may be older than their vendors know. "+
		"Look with `grantry audit verify --anchor %s`. If it was put back on purpose, `grantry audit verify --accept` starts anew from here", path, e, path)
}
