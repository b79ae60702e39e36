package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
)

type keysCmd struct {
	Status   keysStatus   `cmd:"" help:"Each key: where it is held, and what is wrapped under it."`
	Add      keysAdd      `cmd:"" help:"Draw another key and add it to the key source, or print the line to add."`
	Activate keysActivate `cmd:"" help:"Wrap new data keys under a key that every process holds."`
	Rotate   keysRotate   `cmd:"" help:"Wrap all data keys under the active key, while the vault is in use."`
	Retire   keysRetire   `cmd:"" help:"Give up a key that nothing is wrapped under any more."`
}

// keys opens the vault with the source of its keys.
func (e *env) keys() (*vault.Vault, seal.Source, error) {
	v, err := e.vault()
	if err != nil {
		return nil, nil, err
	}
	source, err := e.app.KeySource()
	return v, source, err
}

type keysStatus struct{}

// keyLine is a key as --json prints it.
type keyLine struct {
	ID       string   `json:"id"`
	State    string   `json:"state"` // active, ready, retired, or missing: the source lacks it
	InSource bool     `json:"in_source"`
	DataKeys int64    `json:"data_keys"`
	HeldBy   []string `json:"held_by"` // ids of running processes
	Lacking  []string `json:"lacking"`
}

type processLine struct {
	ID      string     `json:"id"`
	Version string     `json:"version"`
	Started *time.Time `json:"started"`
	Beat    *time.Time `json:"last_beat"`
}

// Run prints a line per key.
func (*keysStatus) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	keys, err := v.KeyStatus(e.ctx)
	if err != nil {
		return err
	}
	running, err := e.running(v)
	if err != nil {
		return err
	}
	lines := make([]keyLine, len(keys))
	for i, k := range keys {
		lines[i] = keyLineOf(k, running)
	}
	if e.common.JSON {
		processes := []processLine{}
		for _, p := range running {
			processes = append(processes, processLine{ID: p.ID, Version: p.Version, Started: when(p.Started), Beat: when(p.Beat)})
		}
		return e.printJSON(struct {
			Keys      []keyLine     `json:"keys"`
			Processes []processLine `json:"processes"`
		}{lines, processes})
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATE\tDATA KEYS\tRUNNING PROCESSES THAT HOLD IT")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", l.ID, l.State, l.DataKeys, l.holders(len(running)))
	}
	return w.Flush()
}

func (e *env) running(v *vault.Vault) ([]vault.Process, error) {
	all, err := v.Processes(e.ctx)
	return slices.DeleteFunc(all, func(p vault.Process) bool { return !p.Live }), err
}

func keyLineOf(k vault.KeyStatus, running []vault.Process) keyLine {
	l := keyLine{ID: k.ID.String(), State: keyState(k), InSource: k.Held, DataKeys: k.DataKeys, HeldBy: []string{}, Lacking: []string{}}
	for _, p := range running {
		if slices.Contains(p.Keys, k.ID) {
			l.HeldBy = append(l.HeldBy, p.ID)
		} else {
			l.Lacking = append(l.Lacking, p.ID)
		}
	}
	return l
}

func keyState(k vault.KeyStatus) string {
	switch {
	case !k.Held:
		return "missing"
	case k.Active:
		return "active"
	case k.Retired:
		return "retired"
	}
	return "ready"
}

func (l keyLine) holders(running int) string {
	switch {
	case running == 0:
		return "none is running"
	case len(l.Lacking) == 0:
		return fmt.Sprintf("all %d", running)
	}
	return fmt.Sprintf("%d of %d, not %s", len(l.HeldBy), running, strings.Join(l.Lacking, ", "))
}

type keysAdd struct{}

// Run adds a key that is not in use yet.
func (*keysAdd) Run(e *env) error {
	v, source, err := e.keys()
	if err != nil {
		return err
	}
	key, err := seal.GenerateKey(nil)
	if err != nil {
		return err
	}
	next := "grantry keys activate " + key.ID().String()
	appender, ok := source.(seal.Appender)
	if ok {
		err = appender.Append(e.ctx, key)
	}
	if !ok || errors.Is(err, seal.ErrReadOnly) {
		fmt.Fprintf(e.err, "This is key %s. Add the line to what %s yields, wherever Grantry runs, and keep a copy apart from the vault.\n", key.ID(), source)
		if e.cfg.Keys.Source.Scheme() == "env" {
			fmt.Fprintln(e.err, "A running process has read the variable already: restart it with both lines.")
		}
		fmt.Fprintln(e.err, "Then:", next)
		_, err = fmt.Fprintln(e.out, key.Line())
		return err
	}
	if err != nil {
		return err
	}
	if err := v.AnnounceKey(e.ctx, key.ID()); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Added key %s to %s. Keep a copy of it apart from the vault.\n", key.ID(), source)
	if !e.cfg.Store.IsFile() {
		fmt.Fprintln(e.out, "Where Grantry runs on other machines with a key source of their own, add it there, too.")
	}
	_, err = fmt.Fprintln(e.out, "Next:", next)
	return err
}

type keysActivate struct {
	Key   string `arg:"" help:"Id of the key, or its beginning."`
	Force bool   `help:"Also while running processes lack the key. They fail at what is sealed under it."`
}

// Run makes a key the one that new data keys are wrapped under.
func (c *keysActivate) Run(e *env) error {
	v, source, id, err := e.key(c.Key)
	if err != nil {
		return err
	}
	err = v.ActivateKey(e.ctx, id, c.Force)
	var lacking *vault.LackingError
	var unknown *seal.UnknownKeyError
	switch {
	case errors.As(err, &lacking):
		return lackingProblem(lacking)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s lacks key %s: put it there first, or make another with `grantry keys add`", source, id)
	case errors.Is(err, vault.ErrRetired):
		return fmt.Errorf("key %s was retired, and a retired key is not used again: make another with `grantry keys add`", id)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(e.out, "Key %s is active: new data keys are wrapped under it.\nNext: grantry keys rotate\n", id)
	return err
}

func lackingProblem(l *vault.LackingError) error {
	var b strings.Builder
	fmt.Fprintf(&b, "key %s is not active: %s could not open what is sealed under it:\n", l.ID, counted(len(l.Processes), "running process"))
	for _, p := range l.Processes {
		fmt.Fprintf(&b, "  %s, version %s, started %s\n", p.ID, orNone(p.Version), p.Started.Local().Format("2006-01-02 15:04"))
	}
	b.WriteString("Put the key into their key source, and try again. One whose keys come from a variable (env:) reads it at its start only: restart it. With --force they fail until then.")
	return errors.New(b.String())
}

// key opens the vault and finds one of its keys by its id or the beginning of it.
func (e *env) key(ref string) (v *vault.Vault, source seal.Source, id seal.KeyID, err error) {
	if v, source, err = e.keys(); err != nil {
		return nil, nil, id, err
	}
	keys, err := v.KeyStatus(e.ctx)
	if err != nil {
		return nil, nil, id, err
	}
	var found []seal.KeyID
	for _, k := range keys {
		if strings.HasPrefix(k.ID.String(), strings.ToLower(ref)) {
			found = append(found, k.ID)
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil, id, fmt.Errorf("there is no key %q; `grantry keys status` lists them", ref)
	case len(found) > 1:
		return nil, nil, id, fmt.Errorf("%d keys begin with %q; `grantry keys status` lists them", len(found), ref)
	}
	return v, source, found[0], nil
}
