package sqlstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	sqlComment = regexp.MustCompile(`(?m)--.*$`)
	sqlShape   = regexp.MustCompile(`(?s)CREATE (?:TABLE|INDEX) [^;]*`)
	sqlWords   = regexp.MustCompile(`COLLATE "C"|STRICT|, WITHOUT ROWID`)
	sqlTypes   = strings.NewReplacer("INTEGER", "BIGINT", "BLOB", "BYTEA")
)

// TestMigrationsMakeTheSameTables compares what each migration makes on the two
// databases: tables, columns, keys and indexes, but for the names of the types.
func TestMigrationsMakeTheSameTables(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("migrations/*/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]map[string][]string{"sqlite": {}, "postgres": {}}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var shapes []string
		for _, s := range sqlShape.FindAllString(sqlComment.ReplaceAllString(string(data), ""), -1) {
			shapes = append(shapes, strings.Join(strings.Fields(sqlTypes.Replace(sqlWords.ReplaceAllString(s, ""))), " "))
		}
		made[filepath.Base(filepath.Dir(name))][filepath.Base(name)] = shapes
	}
	if n := len(made["sqlite"]["00001_init.sql"]); n < 14 {
		t.Fatalf("found only %d tables and indexes", n)
	}
	if diff := cmp.Diff(made["sqlite"], made["postgres"]); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}
