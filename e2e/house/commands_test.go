package house_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the documents that tell people what to type.
var pages = []string{
	"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", ".ci/run", ".github/workflows/ci.yml", "mcp.json.example",
}

var (
	fence      = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	inline     = regexp.MustCompile("`([^`\n]+)`")
	makeCall   = regexp.MustCompile(`(?m)(?:^|[;&|\s])make ([a-z]+)\b`)
	ownCall    = regexp.MustCompile(`(?m)(?:^|[\s/"])grantry(?:\.exe)? ([a-z]+(?: [^\n|;&#"]*)?)(?:$|[\n|;&#"])`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z]+):`)
)

// typed is what a page shows as something to type.
func typed(t *testing.T, page string) []string {
	t.Helper()
	text := read(t, page)
	if !strings.HasSuffix(page, ".md") {
		return []string{text}
	}
	var out []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestMakeTargets: every `make x` of the pages is a target.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	var targets []string
	for _, m := range makeTarget.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	calls := 0
	for _, page := range pages {
		for _, text := range typed(t, page) {
			for _, m := range makeCall.FindAllStringSubmatch(text, -1) {
				calls++
				if !slices.Contains(targets, m[1]) {
					t.Errorf("%s says `make %s`, and the Makefile has %s", page, m[1], strings.Join(targets, ", "))
				}
			}
		}
	}
	if calls < 8 {
		t.Errorf("only %d calls of make found in the pages: the search is broken", calls)
	}
}

// TestTheTwoCommands: they stand at the top of the README, in this order.
func TestTheTwoCommands(t *testing.T) {
	t.Parallel()
	first := fence.FindStringSubmatch(read(t, "README.md"))
	if first == nil {
		t.Fatal("README.md has no code block")
	}
	run, test := strings.Index(first[1], "make run"), strings.Index(first[1], "make test")
	if run < 0 || test < run {
		t.Errorf("the first code block of README.md must be `make run` and `make test`:\n%s", first[1])
	}
	if n := strings.Count(read(t, "README.md")[:strings.Index(read(t, "README.md"), "```")], "\n"); n > 12 {
		t.Errorf("the two commands begin on line %d of README.md: they belong at the very top", n)
	}
}

// TestCommandsExist: every `grantry x` of the pages is a command with those flags.
func TestCommandsExist(t *testing.T) {
	t.Parallel()
	top := help(t)
	var commands []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+)(?: ([a-z]+))?`).FindAllStringSubmatch(top, -1) {
		commands = append(commands, strings.TrimSpace(m[1]+" "+m[2]))
	}
	helps := map[string]string{}
	for _, page := range pages {
		for _, text := range typed(t, page) {
			for _, m := range ownCall.FindAllStringSubmatch(text, -1) {
				name := commandOf(m[1], commands)
				if name == "" {
					t.Errorf("%s says `grantry %s`, and grantry has %s", page, m[1], strings.Join(commands, ", "))
					continue
				}
				if helps[name] == "" {
					helps[name] = help(t, strings.Fields(name)...)
				}
				for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[1], -1) {
					if !strings.Contains(helps[name], flag) {
						t.Errorf("%s says `grantry %s`, and `grantry %s` has no %s", page, m[1], name, flag)
					}
				}
			}
		}
	}
	if len(helps) < 5 {
		t.Errorf("only %d commands found in the pages: the search is broken", len(helps))
	}
}

// commandOf is the longest command that a line starts with.
func commandOf(typed string, commands []string) string {
	words := strings.Fields(typed)
	for n := min(2, len(words)); n > 0; n-- {
		if c := strings.Join(words[:n], " "); slices.Contains(commands, c) {
			return c
		}
	}
	return ""
}

// entry is a server as MCP clients configure it.
type entry struct {
	Type    string   `json:"type"`
	URL     string   `json:"url"`
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// TestClientConfigurations: the JSON of mcp.json.example and of the README
// parses, and what it starts exists.
func TestClientConfigurations(t *testing.T) {
	t.Parallel()
	texts := []string{read(t, "mcp.json.example")}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		texts = append(texts, m[1])
	}
	seen := 0
	for _, text := range texts {
		var c struct {
			MCPServers map[string]entry `json:"mcpServers"`
			Servers    map[string]entry `json:"servers"` // VS Code
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		for _, servers := range []map[string]entry{c.MCPServers, c.Servers} {
			for name, s := range servers {
				seen++
				checkEntry(t, name, s)
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d servers found: the search is broken", seen)
	}
}

func checkEntry(t *testing.T, name string, s entry) {
	t.Helper()
	if s.URL != "" {
		if !strings.HasSuffix(s.URL, "/mcp") {
			t.Errorf("%s: the address %s is not an MCP endpoint", name, s.URL)
		}
		return
	}
	if !strings.HasSuffix(s.Command, "/grantry") || len(s.Args) == 0 || s.Args[0] != "stdio" || !slices.Contains(s.Args, "--agent") {
		t.Errorf("%s: wanted an absolute path of grantry with stdio --agent, got %s %s", name, s.Command, strings.Join(s.Args, " "))
	}
	flags := help(t, "stdio")
	for _, a := range s.Args {
		if strings.HasPrefix(a, "--") && !strings.Contains(flags, a) {
			t.Errorf("%s: grantry stdio has no %s", name, a)
		}
	}
}
