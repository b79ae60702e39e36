package crash_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
	"github.com/grantry/grantry/vault/storetest"
)

// programVariable names the program with the failpoints, which TestMain builds.
const programVariable = "GRANTRY_CRASH_PROGRAM"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crash")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(filepath.Join(dir, "soak"))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the processes: %v\n", err)
		return 1
	}
	return storetest.Main(m)
}

func build(program string) error {
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	cmd := exec.Command("go", "build", "-tags", "failpoints", "-o", program, "github.com/grantry/grantry/bench/soak")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return os.Setenv(programVariable, program)
}

// world is a fleet, its vendor, and the clock that its processes have in common.
type world struct {
	*fleet.Fleet
	t      *testing.T
	vendor *fleet.Vendor
}

// newWorld makes a fleet on a new SQLite file, or on the server that store names.
func newWorld(t *testing.T, store string, cfg fleet.VendorConfig) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	if w.vendor, err = fleet.NewVendor(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.vendor.Close)
	w.Fleet, err = fleet.New(fleet.Config{Program: []string{os.Getenv(programVariable), "worker"}, Folder: t.TempDir(), Store: store, Vendor: w.vendor})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		if t.Failed() {
			t.Logf("the processes say:\n%s", w.Log())
		}
	})
	return w
}

// start starts a process.
func (w *world) start(job fleet.Job, env ...string) *fleet.Process {
	w.t.Helper()
	p, err := w.Start(w.t.Context(), job, env...)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// must does a task that has to go well.
func (w *world) must(p *fleet.Process, task fleet.Task) fleet.Result {
	w.t.Helper()
	r, err := p.Do(w.t.Context(), task)
	if err != nil || !r.OK {
		w.t.Fatalf("%+v: %+v, %v", task, r, err)
	}
	return r
}

// wait moves the clocks of process and vendor.
func (w *world) wait(p *fleet.Process, after time.Duration) {
	w.t.Helper()
	after = max(after, time.Second)
	w.must(p, fleet.Task{Do: fleet.DoAhead, By: after})
	w.vendor.Advance(after)
}

// settle exchanges until the answer is the last word about the grant, moving the
// clocks of process and vendor to when trying again makes sense.
func (w *world) settle(ctx context.Context, p *fleet.Process, task fleet.Task) fleet.Result {
	w.t.Helper()
	const most = 8
	var r fleet.Result
	var err error
	for range most {
		if r, err = p.Do(ctx, task); err != nil {
			w.t.Fatalf("%+v: %v", task, err)
		}
		if r.Final() {
			return r
		}
		w.wait(p, r.After)
	}
	w.t.Fatalf("after %d exchanges still %+v: a loop", most, r)
	return r
}
