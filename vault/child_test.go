package vault_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

// children are what this binary does as another process, until its stdin ends.
func children() map[string]func(ctx context.Context, v *vault.Vault) error {
	return map[string]func(ctx context.Context, v *vault.Vault) error{"rewrap": rewrapChild, "serve": serveChild}
}

// child opens the vault that the environment names and answers the exit code.
func child(name string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	v, end, err := openChild(ctx)
	if err == nil {
		err = children()[name](ctx, v)
		end()
	}
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

func openChild(ctx context.Context) (*vault.Vault, func(), error) {
	source, err := seal.OpenSource("file:"+os.Getenv("VAULT_TEST_KEYS"), seal.SourceOptions{})
	if err != nil {
		return nil, nil, err
	}
	keys, err := source.Keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn, err := connectionAt(os.Getenv("VAULT_TEST_VENDOR"), "files", time.Now)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: os.Getenv("VAULT_TEST_PATH")})
	if err != nil {
		return nil, nil, err
	}
	v, err := vault.Open(ctx, vault.Config{
		Store: store, Keys: keys, ReadKeys: source.Keys, Connections: []*provider.Connection{conn}, Instance: fmt.Sprint("child-", os.Getpid()),
	})
	return v, func() { _, _ = v.Close(), store.Close() }, err
}

// rewrapChild says "ready" and rewraps.
func rewrapChild(ctx context.Context, v *vault.Vault) error {
	fmt.Println("ready")
	_, err := v.Rewrap(ctx, nil)
	return err
}

// serveChild exchanges until its stdin ends, and fails when one exchange does.
func serveChild(ctx context.Context, v *vault.Vault) error {
	var jobs sync.WaitGroup
	jobs.Go(func() { _ = v.Run(ctx) })
	defer jobs.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := v.Exchange(context.Background(), request(alice, agent)); err != nil {
			return fmt.Errorf("exchange %d: %w", n, err)
		}
		if n == 0 {
			fmt.Println("ready")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// startChild starts another process with the bench's vault and answers once it is ready; it ends with the test.
func (b *bench) startChild(name, keyFile string) (cmd *exec.Cmd, stdin io.Closer) {
	b.t.Helper()
	cmd = exec.CommandContext(b.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "VAULT_TEST_CHILD="+name, "VAULT_TEST_PATH="+b.path, "VAULT_TEST_KEYS="+keyFile, "VAULT_TEST_VENDOR="+b.vendor.srv.URL)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		b.t.Fatalf("the process says %q, %v", line, err)
	}
	go func() {
		rest, _ := io.ReadAll(lines)
		if len(rest) > 0 {
			b.t.Errorf("the process says %q", rest)
		}
	}()
	return cmd, in
}
