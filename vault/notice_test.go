package vault_test

import (
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// A grant that dies is told of once, with whose it is, and so is a request to a person.
func TestNotices(t *testing.T) {
	t.Parallel()
	heard := make(chan vault.Notice, 10)
	b := newBench(t, func(c *vault.Config) { c.Notify = func(n vault.Notice) { heard <- n } })
	b.connect(alice, agent)
	next := func() vault.Notice {
		select {
		case n := <-heard:
			return n
		case <-time.After(5 * time.Second):
			t.Fatal("nothing was told")
			return vault.Notice{}
		}
	}
	if n := next(); n.Kind != vault.NoticeRequest || n.Agent != agent || n.Person.Email != alice.Email || n.Handle == "" || n.Connection != "files" {
		t.Errorf("first notice: %+v", n)
	}
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = "" })
	for range 2 {
		b.lack(request(alice, agent))
	}
	if n := next(); n.Kind != vault.NoticeGrantEnded || n.Reason != vault.Revoked || n.Person.Email != alice.Email || n.Account == "" {
		t.Errorf("second notice: %+v", n)
	}
	if len(heard) != 0 {
		t.Errorf("one more notice: %+v", <-heard)
	}
}
