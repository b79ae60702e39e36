package documents_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/documents"
	"github.com/grantry/grantry/tools/tooltest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	tooltest.Golden(t, *update, documents.Tools())
}

func find(t *testing.T, name string) tools.Tool {
	t.Helper()
	return tooltest.Find(t, documents.Tools(), name)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tooltest.Refuses(t, find(t, "documents_search"), []tooltest.Mistake{
		{Args: `{}`, Path: "query", Says: "is missing; required: query"},
		{Args: `{"query":""}`, Path: "query", Says: "must not be empty"},
		{Args: `{"query":12}`, Path: "query", Says: "must be a string, not a number"},
		{Args: `{"query":"` + strings.Repeat("x", 501) + `"}`, Path: "query", Says: "at most 500"},
		{Args: `{"query":"x","limit":101}`, Path: "limit", Says: "between 1 and 100"},
		{Args: `{"query":"x","limit":true}`, Path: "limit", Says: "must be a whole number"},
		{Args: `{"q":"x"}`, Path: "q", Says: `did you mean "query"? Allowed: query, limit, cursor, account`},
	})
	tooltest.Refuses(t, find(t, "documents_read"), []tooltest.Mistake{
		{Args: `{}`, Path: "id", Says: "is missing"},
		{Args: `{"id":7}`, Path: "id", Says: "must be a string"},
		{Args: `{"id":"../../admin"}`, Path: "id", Says: "must be an id from documents_search"},
		{Args: `{"id":"a b"}`, Path: "id", Says: "must be an id"},
		{Args: `{"id":"https://docs.google.com/"}`, Path: "id", Says: "must be an id"},
		{Args: `{"id":"` + strings.Repeat("x", 2001) + `"}`, Path: "id", Says: "at most 2000"},
		{Args: `{"document":"x"}`, Path: "document", Says: "Allowed: id, account"},
	})
}

// drive plays the Drive API over a few files.
type drive struct {
	files map[string]file
	list  []map[string]any

	mu   sync.Mutex
	asks []*url.URL
}

type file struct {
	name, mime, target string
	text               string
	export             string // the type that it is exported as
}

func (d *drive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asks = append(d.asks, r.URL)
	d.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/drive/v3/files")
	id, action, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	f, known := d.files[id]
	q := r.URL.Query()
	switch {
	case ok && id == "":
		d.search(w, q)
	case !ok || !known:
		http.Error(w, `{"error":{"code":404,"message":"File not found: canary.","errors":[{"reason":"notFound"}]}}`, http.StatusNotFound)
	case action == "export" && q.Get("mimeType") == f.export:
		_, _ = fmt.Fprint(w, "\ufeff"+f.text)
	case action == "" && q.Get("alt") == "media" && f.export == "":
		_, _ = fmt.Fprint(w, f.text)
	case action == "":
		out := map[string]any{"id": id, "name": f.name, "mimeType": f.mime}
		if f.target != "" {
			out["shortcutDetails"] = map[string]any{"targetId": f.target}
		}
		if f.export == "" {
			out["size"] = strconv.Itoa(len(f.text))
		}
		_ = json.NewEncoder(w).Encode(out)
	default:
		http.Error(w, `{"error":{"code":403,"errors":[{"reason":"exportSizeLimitExceeded"}]}}`, http.StatusForbidden)
	}
}

func (d *drive) search(w http.ResponseWriter, q url.Values) {
	size, _ := strconv.Atoi(q.Get("pageSize"))
	from, _ := strconv.Atoi(q.Get("pageToken"))
	to := min(from+size, len(d.list))
	out := map[string]any{"files": d.list[from:to]}
	if to < len(d.list) {
		out["nextPageToken"] = strconv.Itoa(to)
	}
	_ = json.NewEncoder(w).Encode(out)
}

func TestSearch(t *testing.T) {
	t.Parallel()
	d := &drive{list: []map[string]any{
		{
			"id": "d1", "name": "Plan", "mimeType": "application/vnd.google-apps.document", "modifiedTime": "2026-03-01T10:00:00.000Z",
			"webViewLink": "https://docs.google.com/d1", "owners": []any{map[string]any{"displayName": "Alice", "emailAddress": "alice@example.com"}},
		},
		{"id": "d2", "name": "Notes", "mimeType": "text/plain", "modifiedTime": "2026-03-01T10:00:00Z", "webViewLink": "https://x", "owners": []any{map[string]any{"displayName": "Bob"}}},
		{"id": "d3", "name": "Shared", "mimeType": "text/plain", "modifiedTime": "2026-03-01T10:00:00Z", "webViewLink": "https://x"},
	}}
	got := tooltest.Call[documents.DocumentList](t, find(t, "documents_search"), tooltest.NewSource(t, "google", d), `{"query":"plan"}`)
	want := documents.DocumentList{Documents: []documents.Document{
		{ID: "d1", Title: "Plan", MIMEType: "application/vnd.google-apps.document", Modified: "2026-03-01T10:00:00.000Z", URL: "https://docs.google.com/d1", Owner: "alice@example.com"},
		{ID: "d2", Title: "Notes", MIMEType: "text/plain", Modified: "2026-03-01T10:00:00Z", URL: "https://x", Owner: "Bob"},
		{ID: "d3", Title: "Shared", MIMEType: "text/plain", Modified: "2026-03-01T10:00:00Z", URL: "https://x"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ask := d.asks[0].Query()
	if ask.Get("supportsAllDrives") != "true" || ask.Get("includeItemsFromAllDrives") != "true" || ask.Get("pageSize") != "20" || ask.Has("orderBy") {
		t.Errorf("asked %v", ask)
	}
}

// TestSearchCannotLeaveItsString: whatever the query is, Drive's grammar sees one string.
func TestSearchCannotLeaveItsString(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`plan`:                        `'plan'`,
		`it's`:                        `'it\'s'`,
		`' or trashed = true or 'x`:   `'\' or trashed = true or \'x'`,
		`\' or trashed = true or \'x`: `'\\\' or trashed = true or \\\'x'`,
		`ends with \`:                 `'ends with \\'`,
		"two\nlines\x00'":             `'two lines \''`,
	} {
		d := &drive{}
		args, err := json.Marshal(map[string]string{"query": query})
		if err != nil {
			t.Fatal(err)
		}
		tooltest.Call[documents.DocumentList](t, find(t, "documents_search"), tooltest.NewSource(t, "google", d), string(args))
		if got := d.asks[0].Query().Get("q"); got != "fullText contains "+want+" and trashed = false" {
			t.Errorf("%q became %s", query, got)
		}
	}
}

func TestSearchPagesToTheEndWithoutDoubles(t *testing.T) {
	t.Parallel()
	d := &drive{}
	for i := range 230 {
		d.list = append(d.list, map[string]any{"id": fmt.Sprint("d", i), "name": strings.Repeat("n", 3000), "mimeType": "text/plain"})
	}
	src := tooltest.NewSource(t, "google", d)
	seen, calls := map[string]bool{}, 0
	for cursor := ""; calls == 0 || cursor != ""; calls++ {
		args := `{"query":"n","limit":100}`
		if cursor != "" {
			args = fmt.Sprintf(`{"query":"n","limit":100,"cursor":%q}`, cursor)
		}
		out := tooltest.Call[documents.DocumentList](t, find(t, "documents_search"), src, args)
		for _, doc := range out.Documents {
			if seen[doc.ID] {
				t.Fatalf("%s twice", doc.ID)
			}
			seen[doc.ID] = true
		}
		cursor = out.NextCursor
	}
	if len(seen) != 230 || calls < 3 {
		t.Errorf("%d documents in %d calls", len(seen), calls)
	}
}
