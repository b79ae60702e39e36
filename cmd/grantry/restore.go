package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	agefile "filippo.io/age"
	"filippo.io/age/armor"

	"github.com/grantry/grantry/cmd/internal/app"
)

const (
	ageHeader = "age-encryption.org/"
	ageArmor  = armor.Header
	sqliteLog = "-wal"
)

type restoreCmd struct {
	File     string `arg:"" optional:"" help:"Backup to restore."`
	Identity given  `help:"File with the age key that the backup is encrypted to." placeholder:"AGE_KEYFILE"`
	Replace  bool   `help:"Restore over an existing vault, which is kept as vault.db.before-restore."`
	Confirm  bool   `help:"Say that this vault, a copy or restored, is the one that lives."`
}

// Run restores a file, or confirms what was restored.
func (c *restoreCmd) Run(e *env) error {
	switch {
	case c.Confirm == (c.File != ""):
		return &app.UsageError{Text: "name a backup to restore; or, for a vault that is restored or copied already, give --confirm and no file"}
	case c.Confirm:
		return confirmHome(e)
	}
	from, done, err := c.source()
	if err != nil {
		return err
	}
	defer done()
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	p := e.progress("restoring")
	kept, err := a.Restore(e.ctx, app.Restore{From: from(p), Replace: c.Replace, Progress: p.set})
	p.end()
	if err != nil {
		return err
	}
	if kept != "" {
		fmt.Fprintf(e.out, "The vault that was there is kept as %s.\n", kept)
	}
	_, err = fmt.Fprintf(e.out, "Restored %s. It can be looked at, but it gives out no token and contacts no vendor until you are sure that no other copy of it will run again, and say so: grantry restore --confirm%s\n", c.File, e.common.place())
	return err
}

// source opens the backup, decrypted; it tells how much was read.
func (c *restoreCmd) source() (from func(*progress) io.Reader, done func(), err error) {
	if _, err := os.Stat(c.File + sqliteLog); err == nil {
		return nil, nil, &app.UsageError{Text: fmt.Sprintf("%s has a write-ahead log beside it: it is a database in use and no backup; make one with `grantry backup`", c.File)}
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, nil, &app.UsageError{Text: fmt.Sprintf("the backup cannot be read: %v", err)}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	counted := &countingReader{r: f, total: info.Size()}
	plain, err := c.decrypt(bufio.NewReader(counted))
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return func(p *progress) io.Reader { counted.tell = p.set; return plain }, func() { _ = f.Close() }, nil
}

func (c *restoreCmd) decrypt(in *bufio.Reader) (io.Reader, error) {
	head, _ := in.Peek(len(ageArmor))
	armored := bytes.Equal(head, []byte(ageArmor))
	switch encrypted := armored || bytes.HasPrefix(head, []byte(ageHeader)); {
	case !encrypted && c.Identity != "":
		return nil, &app.UsageError{Text: "that backup is not encrypted: leave --identity out"}
	case !encrypted:
		return in, nil
	case c.Identity == "":
		return nil, &app.UsageError{Text: "that backup is encrypted: give --identity with the file that holds its age key"}
	}
	if err := noFIPS("--identity"); err != nil {
		return nil, err
	}
	file, err := os.Open(string(c.Identity))
	if err != nil {
		return nil, &app.UsageError{Text: fmt.Sprintf("the age key cannot be read: %v", err)}
	}
	defer func() { _ = file.Close() }()
	keys, err := agefile.ParseIdentities(file)
	if err != nil {
		return nil, &app.UsageError{Text: fmt.Sprintf("%s holds no age key: it must be a file that `age-keygen` made (AGE-SECRET-KEY-1…)", c.Identity)}
	}
	src := io.Reader(in)
	if armored {
		src = armor.NewReader(in)
	}
	plain, err := agefile.Decrypt(src, keys...)
	if err != nil {
		return nil, &app.UsageError{Text: fmt.Sprintf("the key in %s does not open that backup: it is encrypted to another recipient, or damaged", c.Identity)}
	}
	return plain, nil
}

// countingReader tells how much of a file was read.
type countingReader struct {
	r           io.Reader
	done, total int64
	tell        func(done, total int64)
}

// Read reads and tells.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.done += int64(n); c.tell != nil {
		c.tell(c.done, c.total)
	}
	return n, err
}

// confirmHome is the operator's word that of all copies this is the one that lives.
func confirmHome(e *env) error {
	a, err := e.open(app.Options{AnyAnchor: true})
	if err != nil {
		return err
	}
	v, err := a.Vault(e.ctx)
	if err != nil {
		return err
	}
	was, err := v.ConfirmHome(e.ctx)
	switch {
	case err != nil:
		return err
	case !was:
		_, err = fmt.Fprintln(e.out, "Nothing to confirm: this vault lives here already.")
		return err
	}
	if e.cfg.Audit.Anchor != "" && !e.cfg.Sandbox { // it may have seen entries that this copy lacks
		if err := v.NewAnchorSegment(e.ctx, "restored"); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(e.out, "This vault is the one that lives from now on. Never start any other copy of it again, the original included: two that refresh the same grants make vendors end them.")
	return err
}
