package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// check parses text and holds what must hold of any: no panic, a
// configuration or problems, and no canary in a problem.
func check(t rapid.TB, text string, opts config.Options) {
	c, err := config.Parse("grantry.yaml", []byte(text), opts)
	if err == nil {
		if c == nil {
			t.Fatal("neither a configuration nor an error")
		}
		return
	}
	var problems *config.Problems
	if !errors.As(err, &problems) || len(problems.List) == 0 {
		t.Fatalf("an error that is no list of problems: %v", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Fatalf("a message holds a value of the file:\n%v\n%s", err, text)
	}
}

// FuzzParse starts from the design's block, the example and files with mistakes.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/problems/*.txtar")
	must(f, err)
	for _, name := range seeds {
		archive, err := txtar.ParseFile(name)
		must(f, err)
		for _, file := range archive.Files {
			f.Add(file.Data)
		}
	}
	for _, name := range []string{"testdata/design.yaml", filepath.Join("..", "..", "..", "..", "grantry.yaml.example")} {
		data, err := os.ReadFile(name)
		must(f, err)
		f.Add(data)
	}
	opts := options("/home/ann", nil)
	f.Fuzz(func(t *testing.T, data []byte) { check(t, strings.ReplaceAll(string(data), canary, "x"), opts) })
}

// TestParseAnything throws pieces of YAML together.
func TestParseAnything(t *testing.T) {
	t.Parallel()
	opts := options("/home/ann", nil)
	pieces := []string{
		"listen", "identity", "connections", "workloads", "issuer", "client_secret", "tools", "a", "CANARY", ": ", ":", "\n", "\n  ", "\n    ",
		"- ", "[", "]", "{", "}", ", ", "&x ", "*x", "!!str ", "<<", "? ", "| ", ">\n", "'", "\"", "#", "---\n", "...\n", "\t", "%YAML 1.2\n",
		"@", "`", "1", "-1", "0x", "1e9", ".nan", "null", "~", "true", "8h", "env:X", "\r\n", "\\", "é", "\x00", "https://a.example.com",
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "parts")
		check(t, strings.ReplaceAll(strings.Join(parts, ""), canary, "x"), opts)
	})
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.String().Draw(t, "text"), opts) })
}

// TestParseDamaged damages the design's block: bytes and lines go, come twice
// or move.
func TestParseDamaged(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/design.yaml")
	must(t, err)
	opts := options("/home/ann", nil)
	rapid.Check(t, func(t *rapid.T) {
		text := string(data)
		for range rapid.IntRange(1, 5).Draw(t, "edits") {
			i := rapid.IntRange(0, len(text)-1).Draw(t, "from")
			j := min(len(text), i+rapid.IntRange(0, 80).Draw(t, "length"))
			insert := rapid.SampledFrom([]string{"", " ", "\n", ":", "{", "]", text[i:j] + text[i:j], "\"", "- "}).Draw(t, "insert")
			text = text[:i] + insert + text[j:]
		}
		check(t, text, opts)
	})
}

// TestNoValueIsShown puts a canary, in every shape, under every key.
func TestNoValueIsShown(t *testing.T) {
	t.Parallel()
	opts := options("/home/ann", nil)
	shapes := []string{
		"CANARY", "\"CANARY\"", "[CANARY]", "[[CANARY]]", "{listen: CANARY}", "|\n        CANARY\n", "env:CANARY!", "file:~CANARY/x", "exec:\u0001CANARY",
		"https://CANARY@example.com", "http://CANARY.example.com", "https://example.com/CANARY#x", "postgres://CANARY", "[CANARY, {a: CANARY}]",
		"&CANARY x", "*CANARY", "!CANARY x", "'CANARY", "{a: CANARY", "CANARY: CANARY: CANARY", "{client_secret:CANARY}",
	}
	extras := []string{"", "\nlisten: 0.0.0.0:1", "\nconnections: [CANARY]", "\nCANARYCANARYCANARYCANARYCANARYCANARY: CANARY"}
	for _, k := range config.Keys() {
		for _, shape := range shapes {
			for _, extra := range extras {
				check(t, nested(k.Path, shape)+extra, opts)
			}
		}
	}
}

// nested writes a value under a path of the table.
func nested(path, value string) string {
	var b strings.Builder
	indent := ""
	for name := range strings.SplitSeq(path, ".") {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		name, list := strings.CutSuffix(name, "[]")
		fmt.Fprintf(&b, "%s%s:", indent, strings.ToLower(name))
		indent += "  "
		if list {
			b.WriteString("\n" + indent + "-")
			indent += "  "
		}
	}
	return b.String() + " " + value
}
