package sqlstore_test

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// onBoth runs a test on a new, empty database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, place string)) {
	t.Helper()
	for name, place := range map[string]func(t *testing.T) string{"sqlite": newPath, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

// TestManyProcessesOnANewDatabase starts processes at once where there is nothing.
func TestManyProcessesOnANewDatabase(t *testing.T) {
	t.Parallel()
	onBoth(t, manyProcesses)
}

func manyProcesses(t *testing.T, path string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out, err := runChild(t, "open", path, ""); err != nil {
				t.Errorf("a process: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	openStore(t, path)
}

// TestSwapAcrossProcesses has processes race for the generations of one grant.
func TestSwapAcrossProcesses(t *testing.T) {
	t.Parallel()
	onBoth(t, swapAcrossProcesses)
}

func swapAcrossProcesses(t *testing.T, path string) {
	const generations, processes = 100, 3
	s := openStore(t, path)
	err := s.Update(t.Context(), func(tx vault.Tx) error {
		if err := tx.Users().Put(vault.UserRow{Key: "u", DEK: []byte("d")}, vault.KeyRow{ID: []byte("d"), User: "u", Wrapped: []byte("w")}); err != nil {
			return err
		}
		return tx.Grants().Insert(vault.GrantRow{ID: "g1", User: "u", Connection: "c", AccountKey: "a"})
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	winners := map[int64]int{}
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			out, err := runChild(t, "swap", path, strconv.Itoa(generations))
			if err != nil {
				t.Errorf("a process: %v\n%s", err, out)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, gen := range numbers(t, strings.NewReader(out)) {
				winners[gen]++
			}
		})
	}
	wg.Wait()
	for gen := int64(1); gen <= generations; gen++ {
		if winners[gen] != 1 {
			t.Errorf("generation %d has %d winners", gen, winners[gen])
		}
	}
}

// TestKilledProcessLosesNothing kills a process that writes, and finds all that
// it had said was committed.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"synced", "unsynced"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, path string) { killedProcess(t, path, how) })
		})
	}
}

func killedProcess(t *testing.T, path, how string) {
	cmd := childCommand(t, "forever", path, how)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	var heard bytes.Buffer
	for range 20 {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the process ended: %v, %s", err, line)
		}
		heard.WriteString(line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for { // what it said before it died; the last line may be cut
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		heard.WriteString(line)
	}
	_ = cmd.Wait() // it was killed
	said := numbers(t, &heard)
	last := said[len(said)-1]

	s := openStore(t, path)
	err = s.View(t.Context(), func(tx vault.Tx) error {
		head, _, err := tx.Audit().Head("main")
		if err == nil && (head < last || head > last+1) {
			t.Errorf("head is %d, the process said %d", head, last)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
