package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// TestMain lets a test start this binary again as another process with a store.
func TestMain(m *testing.M) {
	child, ok := children()[os.Getenv("SQLSTORE_TEST_CHILD")]
	if !ok {
		os.Exit(storetest.Main(m))
	}
	if err := child(context.Background(), os.Getenv("SQLSTORE_TEST_PATH"), os.Getenv("SQLSTORE_TEST_ARG")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childCommand(t *testing.T, name, path, arg string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SQLSTORE_TEST_CHILD="+name, "SQLSTORE_TEST_PATH="+path, "SQLSTORE_TEST_ARG="+arg)
	return cmd
}

// runChild answers the output of a child that ends by itself.
func runChild(t *testing.T, name, path, arg string) (string, error) {
	t.Helper()
	out, err := childCommand(t, name, path, arg).CombinedOutput()
	return string(out), err
}

func children() map[string]func(ctx context.Context, path, arg string) error {
	all := map[string]func(ctx context.Context, path, arg string) error{
		"open": openChild, "swap": swapChild, "forever": foreverChild, "write": writeChild, "append": appendChild,
	}
	for name, child := range systemChildren() {
		all[name] = child
	}
	return all
}

// openDatabase opens a file or, where place is a URL, PostgreSQL.
func openDatabase(ctx context.Context, place string, patience time.Duration) (*sqlstore.Store, error) {
	if strings.HasPrefix(place, "postgres://") {
		return sqlstore.OpenPostgres(ctx, sqlstore.PostgresConfig{URL: provider.NewSecret(place)})
	}
	return sqlstore.Open(ctx, sqlstore.Config{Path: place, BusyTimeout: patience})
}

// openChild opens, writes once and closes.
func openChild(ctx context.Context, path, _ string) error {
	s, err := openDatabase(ctx, path, 0)
	if err != nil {
		return err
	}
	return errors.Join(s.Check(ctx), s.Close())
}

// writeChild writes once, without much patience.
func writeChild(ctx context.Context, path, _ string) error {
	s, err := openDatabase(ctx, path, 50*time.Millisecond)
	if err != nil {
		return err
	}
	return errors.Join(s.Check(ctx), s.Close())
}

// swapChild tries to win each generation of grant g1 up to arg, and prints those that it won.
func swapChild(ctx context.Context, path, arg string) error {
	last, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return err
	}
	s, err := openDatabase(ctx, path, 0)
	if err != nil {
		return err
	}
	for gen := int64(0); gen < last; {
		var g vault.GrantRow
		if err := s.View(ctx, func(tx vault.Tx) (err error) { g, err = tx.Grants().Get("g1"); return err }); err != nil {
			return err
		}
		gen = g.Gen
		g.Gen++
		switch err := s.Update(ctx, func(tx vault.Tx) error { return tx.Grants().Swap(g, gen) }); {
		case err == nil:
			fmt.Println(g.Gen)
		case !errors.Is(err, vault.ErrConflict):
			return err
		}
	}
	return s.Close()
}

// foreverChild appends to the audit until it is killed, and prints each number once it is committed.
func foreverChild(ctx context.Context, path, arg string) error {
	s, err := openDatabase(ctx, path, 0)
	if err != nil {
		return err
	}
	write := s.Update
	if arg == "unsynced" {
		write = s.Append
	}
	for seq := int64(1); ; seq++ {
		row := vault.AuditRow{Stream: "main", Seq: seq, Kind: "k", Body: []byte(strings.Repeat("x", 500)), MAC: []byte("mac")}
		if err := write(ctx, func(tx vault.Tx) error { return tx.Audit().Append([]vault.AuditRow{row}) }); err != nil {
			return err
		}
		fmt.Println(seq)
	}
}

// appendEntry adds one entry after the head that it reads, and answers its number.
func appendEntry(ctx context.Context, s *sqlstore.Store, kind string) (seq int64, err error) {
	err = s.Update(ctx, func(tx vault.Tx) error {
		head, mac, err := tx.Audit().Head("main")
		if err != nil {
			return err
		}
		seq = head + 1
		return tx.Audit().Append([]vault.AuditRow{{Stream: "main", Seq: seq, Kind: kind, Body: append([]byte{}, mac...), MAC: fmt.Appendf(nil, "after %d", head)}})
	})
	return seq, err
}

// appendChild appends entries, as many and of the kind that arg says, and prints each number once it is committed.
func appendChild(ctx context.Context, path, arg string) error {
	each, kind, _ := strings.Cut(arg, " ")
	n, err := strconv.Atoi(each)
	if err != nil {
		return err
	}
	s, err := openDatabase(ctx, path, 0)
	if err != nil {
		return err
	}
	for range n {
		seq, err := appendEntry(ctx, s, kind)
		if err != nil {
			return err
		}
		fmt.Println(seq)
	}
	return s.Close()
}

// numbers reads lines of numbers.
func numbers(t *testing.T, r io.Reader) (out []int64) {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("a child says %q", lines.Text())
		}
		out = append(out, n)
	}
	return out
}
