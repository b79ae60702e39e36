package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestProblems reads every case of testdata/problems: configurations with
// mistakes, and the exact lines that Grantry answers.
func TestProblems(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	must(t, err)
	if len(archives) < 5 {
		t.Fatalf("found only %d archives", len(archives))
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		must(t, err)
		for i := 0; i+1 < len(archive.Files); i += 2 {
			in, want := archive.Files[i], archive.Files[i+1]
			t.Run(filepath.Base(name)+"/"+in.Name, func(t *testing.T) {
				t.Parallel()
				if want.Name != "want" {
					t.Fatalf("%s is not followed by what it wants", in.Name)
				}
				checkProblems(t, in.Data, string(want.Data))
			})
		}
	}
}

func checkProblems(t *testing.T, in []byte, want string) {
	t.Helper()
	c, err := config.Parse("grantry.yaml", in, options("/home/ann", nil))
	var problems *config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("Parse answered %v and the error %v, want problems", c, err)
	}
	if c != nil {
		t.Error("Parse answered a configuration beside its problems")
	}
	if diff := cmp.Diff(strings.TrimSpace(want), problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if strings.Contains(problems.Error(), canary) {
		t.Errorf("a message holds a secret:\n%s", problems)
	}
	for i, p := range problems.List {
		if i > 0 && p.Line < problems.List[i-1].Line {
			t.Errorf("line %d is reported after line %d", p.Line, problems.List[i-1].Line)
		}
	}
}

// TestOddFiles holds what cannot stand in a text archive.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"too large":           {strings.Repeat("# "+canary+"\n", 1<<17), "grantry.yaml: the file is larger than 1 MiB"},
		"not text":            {"listen: \xff\xfe" + canary, "grantry.yaml: the file is not UTF-8 text"},
		"deep brackets":       {"a: " + strings.Repeat("[", 100_000), "grantry.yaml: the file is nested more than 64 levels deep"},
		"deep dashes":         {strings.Repeat("- ", 100_000), "grantry.yaml: the file is nested more than 64 levels deep"},
		"a line break":        {"notify: \"exec:a\\nb\"", "grantry.yaml:1: notify: must be one line of plain text"},
		"a tab":               {"tls:\n\tcert: " + canary, "grantry.yaml:2: not valid YAML: a tab is used for indentation; use spaces"},
		"line ends with CR":   {"listen: 127.0.0.1:1\r\nlisten: 127.0.0.1:2\r\n", "grantry.yaml:2: duplicate key \"listen\"; it is already on line 1"},
		"byte order mark":     {"\xef\xbb\xbfstroe: sqlite", "grantry.yaml:1: unknown key \"stroe\"; did you mean \"store\"?"},
		"a key of any length": {strings.Repeat("x", 5000) + ": " + canary, "grantry.yaml:1: unknown key (not shown: it does not look like a key); known here: " + topKeys()},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkProblems(t, []byte(tc.in), tc.want)
		})
	}
}

func topKeys() string {
	var names []string
	for _, k := range config.Keys() {
		if !strings.Contains(k.Path, ".") {
			names = append(names, k.Path)
		}
	}
	return strings.Join(names, ", ")
}

// TestFlagProblems: what a flag says has no line.
func TestFlagProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file   string
		change func(*config.Options)
		want   string
	}{
		"listen is no address": {"", func(o *config.Options) { o.Listen = "8787" }, "--listen: must be host:port, such as 127.0.0.1:8787"},
		"listen is not loopback": {
			"listen: 127.0.0.1:1", func(o *config.Options) { o.Listen = "0.0.0.0:8787" },
			"grantry.yaml:1: public_url: is required, because --listen is not a loopback address: set it to the https address that people and clients use",
		},
		"no home": {"", func(o *config.Options) { o.Home = "nowhere" }, "grantry.yaml: data_dir: there is no home folder to put it in; give --data-dir\ngrantry.yaml: keys.source: there is no home folder to put a key in; set keys.source"},
		"sandbox on the network": {
			"public_url: https://grantry.example.com", func(o *config.Options) { o.Sandbox, o.Listen = true, "0.0.0.0:8787" },
			"--sandbox: the sandbox is for this machine only: listen must be a loopback address, such as 127.0.0.1:8787\n--sandbox: the sandbox is for this machine only: public_url must be a loopback address, or be left out",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options("/home/ann", nil)
			tc.change(&opts)
			_, err := config.Parse("grantry.yaml", []byte(tc.file), opts)
			if err == nil {
				t.Fatal("Parse found nothing wrong")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
