package config_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestStoreIsNeverShown reads each form of a database's address, and prints it.
func TestStoreIsNeverShown(t *testing.T) {
	t.Parallel()
	const address = "postgres://grantry:CANARY@db.example.com/grantry?sslmode=verify-full"
	c := parse(t, "store: "+address)
	if got, err := c.Store.URL(t.Context()); err != nil || got.Reveal() != address || c.Store.IsFile() {
		t.Errorf("URL of a literal: %v, %v", got, err)
	}
	text, err := c.Store.MarshalText()
	must(t, err)
	if said := fmt.Sprintf("%v %+v %#v %s %v %s", c.Store, c, c.Store, c.Store, c.Store.LogValue(), text); strings.Contains(said, "CANARY") {
		t.Errorf("printed: %s", said)
	}
	if c := parse(t, "store: sqlite"); !c.Store.IsFile() || c.Store.String() != "sqlite" {
		t.Errorf("sqlite is read as %s", c.Store)
	}
	ref := parse(t, "store: env:DATABASE")
	if _, err := ref.Store.URL(t.Context()); err == nil || ref.Store.IsFile() || ref.Store.String() != "env:DATABASE" || len(ref.Secrets) != 1 {
		t.Errorf("a reference: %v, %s, %d secrets", err, ref.Store, len(ref.Secrets))
	}
}
