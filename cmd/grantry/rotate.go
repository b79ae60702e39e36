package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
)

type keysRotate struct{}

// Run wraps every data key under the active key. It can be ended and run again at any time.
func (*keysRotate) Run(e *env) error {
	v, source, err := e.keys()
	if err != nil {
		return err
	}
	p := e.progress("wrapping data keys")
	r, err := v.Rewrap(e.ctx, p.set)
	p.end()
	if err != nil {
		return fmt.Errorf("%w; %s done, run it again for the rest", err, counted(int(r.Done), "data key"))
	}
	keys, err := v.KeyStatus(e.ctx)
	if err != nil {
		return err
	}
	if r.Done == 0 && r.Missing+r.Broken == 0 {
		return e.sayNothingToRotate(keys)
	}
	fmt.Fprintf(e.out, "%s wrapped under key %s now.\n", counted(int(r.Done), "data key"), r.Active)
	if r.Missing > 0 {
		return fmt.Errorf("%s left: %s lacks the key above them; `grantry keys status` names it. Put it back and run this again", counted(int(r.Missing), "data key"), source)
	}
	if r.Broken > 0 {
		return fmt.Errorf("%s left: they do not open, somebody changed them in the database. What they sealed is lost unless a backup has it; their people can connect again", counted(int(r.Broken), "data key"))
	}
	for _, k := range keys {
		if !k.Active && !k.Retired && k.DataKeys == 0 {
			fmt.Fprintln(e.out, "Next: grantry keys retire", k.ID)
		}
	}
	return nil
}

// sayNothingToRotate says what to run when everything is under the active key.
func (e *env) sayNothingToRotate(keys []vault.KeyStatus) error {
	i := slices.IndexFunc(keys, func(k vault.KeyStatus) bool { return k.Active })
	fmt.Fprintf(e.out, "Nothing to do: every data key is wrapped under key %s, the active one.\n", keys[i].ID)
	ready := slices.IndexFunc(keys, func(k vault.KeyStatus) bool { return k.Held && !k.Active && !k.Retired })
	steps := []string{"add", "activate ID, which `add` prints", "rotate", "retire " + keys[i].ID.String()}
	if ready >= 0 {
		steps = append([]string{"activate " + keys[ready].ID.String()}, steps[2:]...)
	}
	fmt.Fprintln(e.out, "To change the key:")
	for _, s := range steps {
		fmt.Fprintln(e.out, "  grantry keys", s)
	}
	return nil
}

type keysRetire struct {
	Key string `arg:"" help:"Id of the key, or its beginning."`
}

// Run gives up a key for good and takes it out of the key source.
func (c *keysRetire) Run(e *env) error {
	v, source, id, err := e.key(c.Key)
	if err != nil {
		return err
	}
	var used *vault.InUseError
	switch err := v.RetireKey(e.ctx, id); {
	case errors.As(err, &used) && used.Active:
		return fmt.Errorf("key %s is the active one: make another active first, `grantry keys rotate` says how", id)
	case errors.As(err, &used):
		return fmt.Errorf("%s wrapped under key %s: run `grantry keys rotate` first", counted(int(used.DataKeys), "data key"), id)
	case err != nil:
		return err
	}
	fmt.Fprintf(e.out, "Key %s is retired.\n", id)
	if err := e.dropKey(source, id); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, "Keep a copy of it as long as you keep backups from before now: they open with it only.")
	return err
}

// dropKey takes a retired key out of its source, or says which line a person must take out.
func (e *env) dropKey(source seal.Source, id seal.KeyID) error {
	if r, ok := source.(seal.Remover); ok {
		err := r.Remove(e.ctx, id)
		if err == nil {
			_, err = fmt.Fprintf(e.out, "It is no longer in %s.\n", source)
			return err
		}
		if !errors.Is(err, seal.ErrReadOnly) {
			return fmt.Errorf("%w; take it out by hand, or run this again", err)
		}
	}
	keys, err := source.Keys(e.ctx)
	if i := slices.IndexFunc(keys, func(k seal.Key) bool { return k.ID() == id }); err == nil && i >= 0 {
		_, err = fmt.Fprintf(e.out, "Take it out of what %s yields: it is key number %d of %d there.\n", source, i+1, len(keys))
		return err
	}
	_, err = fmt.Fprintf(e.out, "Take it out of what %s yields, wherever Grantry runs.\n", source)
	return err
}
