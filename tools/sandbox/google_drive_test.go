package sandbox_test

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func (w *world) search(token string, q url.Values) answer {
	w.t.Helper()
	return w.get(w.vendor("google").API+"/drive/v3/files?"+q.Encode(), token)
}

func names(items []map[string]any) []string {
	var out []string
	for _, f := range items {
		out = append(out, str(f, "name"))
	}
	slices.Sort(out)
	return out
}

func TestDriveQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gdocs), "access_token")
	for q, expected := range map[string][]string{
		`name contains 'pricing' and trashed = false`:                                 {"Pricing FAQ"},
		`fullText contains 'northwind export' and trashed=false`:                      {"Northwind renewal: notes", "customer-quotes.txt"},
		`fullText contains '"lock timeout"'`:                                          {"Incident review: checkout latency", "release-notes.txt"},
		`fullText contains '"timeout lock"'`:                                          nil,
		`name contains 'plan' and mimeType = 'application/vnd.google-apps.document'`:  {"Atlas launch plan", "Q4 sales plan"},
		`name contains 'lan'`:                                                         nil,
		`mimeType='application/pdf'`:                                                  {"Northwind master agreement.pdf"},
		`mimeType='application/vnd.google-apps.folder' or name = 'release-notes.txt'`: {"Engineering", "Sales", "release-notes.txt"},
		`trashed = true`:      {"Old price list"},
		`not trashed = false`: {"Old price list"},
		`(name contains 'budget' or name contains 'forecast') and not name contains '9'`:           {"Budget 2027 draft", "Pipeline forecast 2026"},
		`'bob@example.com' in owners and mimeType contains 'text/'`:                                {"release-notes.txt", "signups-by-week.csv", "support-calls-archive.txt"},
		`'0AFsbxEngFolderUk9PVAab' in parents and mimeType != 'text/plain' and name contains 'on'`: {"On-call rota"},
		`modifiedTime > '2026-11-15T12:00:00Z' and name contains 'sales'`:                          {"Q4 sales plan"},
		`modifiedTime < '2020-01-01'`:                                                              nil,
		`name contains 'it\'s \\ odd'`:                                                             nil,
		`fullText contains 'private'`:                                                              {"Compensation review (private)"},
	} {
		got := names(list(w.search(token, url.Values{"q": {q}}).object(t), "files"))
		if !slices.Equal(got, expected) {
			t.Errorf("%s\n got %q\nwant %q", q, got, expected)
		}
	}
}

func TestDriveQueryRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gdocs), "access_token")
	for _, q := range []string{
		"budget", "name contains 'x", "name contains 'x' and", "name like 'x'", "fullText = 'x'", "trashed = maybe", "trashed = 'false'",
		"(name = 'x'", "name = 'x')", "name contains 'it's'", "modifiedTime > 'soon'", "'x' in children", "owner = 'x'", "= 'x'", "name 'x'",
	} {
		res := w.search(token, url.Values{"q": {q}})
		if res.status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", q, res.status)
		}
	}
	want(t, "orderBy", w.search(token, url.Values{"orderBy": {"colour"}}).status, http.StatusBadRequest)
}

func TestDriveEachSeesTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	all := url.Values{"q": {"trashed = false"}}
	a := names(list(w.search(str(w.connect("google", "alice", gdocs), "access_token"), all).object(t), "files"))
	b := names(list(w.search(str(w.connect("google", "bob", gdocs), "access_token"), all).object(t), "files"))
	if len(a) < 12 || len(b) < 12 {
		t.Errorf("alice sees %d files, bob %d", len(a), len(b))
	}
	if slices.Contains(b, "Compensation review (private)") || slices.Contains(a, "Hiring notes: backend engineer (private)") {
		t.Error("a private file is seen by the other")
	}
	bob := str(w.connect("google", "bob", gdocs), "access_token")
	res := w.get(w.vendor("google").API+"/drive/v3/files/1SbxCompReview2zXcVbNmQwErTyUiOpAsDfG", bob)
	want(t, "another's file", res.status, http.StatusNotFound)
	only := str(w.connect("google", "bob", "https://www.googleapis.com/auth/drive.file"), "access_token")
	want(t, "drive.file", len(list(w.search(only, all).object(t), "files")), 0)
	meta := str(w.connect("google", "bob", "https://www.googleapis.com/auth/drive.metadata.readonly"), "access_token")
	want(t, "content with metadata", len(list(w.search(meta, url.Values{"q": {"fullText contains 'blameless severity'"}}).object(t), "files")), 0)
	want(t, "names with metadata", len(list(w.search(meta, url.Values{"q": {"fullText contains 'incident'"}}).object(t), "files")), 1)
}

func TestDriveFieldsAndPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gdocs), "access_token")
	plain := list(w.search(token, nil).object(t), "files")[0]
	want(t, "default fields", len(plain), 4)
	q := url.Values{"fields": {"nextPageToken,files(id,owners(emailAddress),capabilities/canDownload)"}, "pageSize": {"5"}, "q": {"trashed=false"}}
	seen := map[string]bool{}
	for range 10 {
		page := w.search(token, q).object(t)
		for _, f := range list(page, "files") {
			seen[str(f, "id")] = true
			owner := list(f, "owners")[0]
			can, _ := f["capabilities"].(map[string]any)
			if len(f) != 3 || len(owner) != 1 || len(can) != 1 || can["canDownload"] != true {
				t.Fatalf("fields not honoured: %v", f)
			}
		}
		if str(page, "nextPageToken") == "" {
			break
		}
		q.Set("pageToken", str(page, "nextPageToken"))
	}
	want(t, "files over all pages", len(seen), len(list(w.search(token, url.Values{"q": {"trashed=false"}}).object(t), "files")))
	if _, there := w.search(token, url.Values{"fields": {"files/id"}, "pageSize": {"1"}}).object(t)["nextPageToken"]; there {
		t.Error("nextPageToken was not asked for")
	}
}

func TestDriveContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gdocs), "access_token")
	files := w.vendor("google").API + "/drive/v3/files/"
	for _, c := range []struct {
		name, path, kind string
		status           int
		says             string
	}{
		{"document as Markdown", "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe/export?mimeType=text/markdown", "text/markdown", 200, "| Enterprise | 6 | 250,000 | 145,000 |"},
		{"document as text", "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe/export?mimeType=text/plain", "text/plain", 200, "Enterprise\t6\t250,000\t145,000"},
		{"document as CSV", "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe/export?mimeType=text/csv", "application/json", 400, "not supported"},
		{"sheet as CSV", "1SbxForecastSheet9pOiUyTrEwQaSdFgHjKl/export?mimeType=text/csv", "text/csv", 200, "Northwind renewal,Northwind Traders"},
		{"slides as text", "1SbxLaunchDeck6mNbVcXzLkJhGfDsAqWeRtY/export?mimeType=text/plain", "text/plain", 200, "Why now"},
		{"text", "1SbxReleaseNotesTxt2wSxEdCrFvTgByHnUj?alt=media", "text/plain", 200, "4.12.0"},
		{"PDF", "1SbxMsaPdf4bYhNuJmIkOlPqAzWsXeDcRfVtG?alt=media", "application/pdf", 200, "%PDF-1.4"},
		{"download of a document", "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe?alt=media", "application/json", 403, "fileNotDownloadable"},
		{"export of a text", "1SbxReleaseNotesTxt2wSxEdCrFvTgByHnUj/export?mimeType=text/plain", "application/json", 403, "fileNotExportable"},
		{"unknown", "nothing?alt=media", "application/json", 404, "notFound"},
		{"unknown", "nothing/export?mimeType=text/plain", "application/json", 404, "File not found: nothing."},
	} {
		res := w.get(files+c.path, token)
		want(t, c.name, res.status, c.status)
		if kind := res.header.Get("Content-Type"); !strings.HasPrefix(kind, c.kind) {
			t.Errorf("%s: Content-Type %s", c.name, kind)
		}
		if !bytes.Contains(res.body, []byte(c.says)) {
			t.Errorf("%s does not contain %q: %.200s", c.name, c.says, res.body)
		}
	}
	large := files + "1SbxTranscripts6eDcRfVtGbYhNuJmIkOlPq"
	body := w.get(large+"?alt=media", token).body
	if len(body) < 2<<20 || len(body) > 3<<20 {
		t.Errorf("the large file has %d bytes", len(body))
	}
	part := w.get(large+"?alt=media", token, "Range", "bytes=0-99")
	want(t, "range", part.status, http.StatusPartialContent)
	want(t, "range", len(part.body), 100)
	meta := w.get(large+"?fields=size,mimeType,webViewLink", token).object(t)
	if size := str(meta, "size"); len(size) != 7 {
		t.Errorf("size %q", size)
	}
	want(t, "webViewLink", w.get(str(meta, "webViewLink"), "").status, http.StatusOK)
}
