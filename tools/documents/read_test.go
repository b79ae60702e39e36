package documents_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/documents"
	"github.com/grantry/grantry/tools/tooltest"
)

var modified = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const (
	docType   = "application/vnd.google-apps.document"
	sheetType = "application/vnd.google-apps.spreadsheet"
	slideType = "application/vnd.google-apps.presentation"
)

func cabinet() *drive {
	return &drive{files: map[string]file{
		"doc":      {name: "Plan", mime: docType, text: "# Plan\n", export: "text/markdown"},
		"sheet":    {name: "Budget", mime: sheetType, text: "a,b\n1,2\n", export: "text/csv"},
		"slides":   {name: "Deck", mime: slideType, text: "Hello", export: "text/plain"},
		"plain":    {name: "notes.txt", mime: "text/plain", text: "some notes"},
		"json":     {name: "x.json", mime: "application/json", text: `{"a":1}`},
		"latin":    {name: "old.txt", mime: "text/plain", text: "caf\xe9"},
		"empty":    {name: "empty.txt", mime: "text/plain"},
		"link":     {name: "Link", mime: "application/vnd.google-apps.shortcut", target: "doc"},
		"pdf":      {name: "x.pdf", mime: "application/pdf", text: "%PDF"},
		"odd":      {name: "x", mime: "canary canary"},
		"folder":   {name: "F", mime: "application/vnd.google-apps.folder"},
		"pretends": {name: "x.txt", mime: "text/plain", text: "MZ\x00\x01"},
		"toolarge": {name: "Huge", mime: docType, export: "application/pdf"},
	}}
}

func TestRead(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "google", cabinet())
	for id, want := range map[string]documents.Text{
		"doc":    {ID: "doc", Title: "Plan", MIMEType: docType, Text: "# Plan\n"},
		"sheet":  {ID: "sheet", Title: "Budget", MIMEType: sheetType, Text: "a,b\n1,2\n"},
		"slides": {ID: "slides", Title: "Deck", MIMEType: slideType, Text: "Hello"},
		"plain":  {ID: "plain", Title: "notes.txt", MIMEType: "text/plain", Text: "some notes"},
		"json":   {ID: "json", Title: "x.json", MIMEType: "application/json", Text: `{"a":1}`},
		"latin":  {ID: "latin", Title: "old.txt", MIMEType: "text/plain", Text: "caf\uFFFD"},
		"empty":  {ID: "empty", Title: "empty.txt", MIMEType: "text/plain"},
		"link":   {ID: "doc", Title: "Plan", MIMEType: docType, Text: "# Plan\n"},
		"https://docs.google.com/document/d/doc/edit?usp=sharing": {ID: "doc", Title: "Plan", MIMEType: docType, Text: "# Plan\n"},
		"http://127.0.0.1:8788/google/file/d/plain/view":          {ID: "plain", Title: "notes.txt", MIMEType: "text/plain", Text: "some notes"},
		"https://drive.google.com/open?id=plain":                  {ID: "plain", Title: "notes.txt", MIMEType: "text/plain", Text: "some notes"},
	} {
		got := tooltest.Call[documents.Text](t, find(t, "documents_read"), src, `{"id":"`+id+`"}`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

func TestWhatIsNotTextIsRefused(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "google", cabinet())
	for id, says := range map[string]string{
		"pdf": "not a text file (application/pdf); Google Docs, Sheets, Slides and text files can be read", "odd": "not a text file;",
		"folder": "vnd.google-apps.folder", "pretends": "not a text file",
	} {
		e := tooltest.Fails[*tools.InputError](t, find(t, "documents_read"), src, `{"id":"`+id+`"}`)
		if e.Path != "id" || !strings.Contains(e.Reason, says) {
			t.Errorf("%s: %v", id, e)
		}
	}
	e := tooltest.Fails[*tools.APIError](t, find(t, "documents_read"), src, `{"id":"nosuch"}`)
	if e.Code != "notFound" {
		t.Errorf("%+v", e)
	}
	e = tooltest.Fails[*tools.APIError](t, find(t, "documents_read"), src, `{"id":"toolarge"}`)
	if e.Code != "exportSizeLimitExceeded" || !strings.Contains(e.Reason, "10 MB") {
		t.Errorf("%+v", e)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 1<<20) // 2 MiB
	for name, c := range map[string]struct {
		f    file
		says string
		most int
	}{
		"download": {file{name: "f", mime: "text/plain", text: long}, "\n\n[cut: 1.8 MiB of 2.0 MiB not shown]", 201 << 10},
		"export":   {file{name: "f", mime: docType, export: "text/markdown", text: long}, "\n\n[cut: 1.8 MiB of 2.0 MiB not shown]", 201 << 10},
		"escapes":  {file{name: "f", mime: "text/plain", text: strings.Repeat("\x01\"\n", 60<<10)}, "of 180.0 KiB not shown]", 180 << 10},
		"odd cut":  {file{name: "f", mime: "text/plain", text: "x" + long}, "not shown]", 201 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := tooltest.NewSource(t, "google", &drive{files: map[string]file{"id": c.f}})
			got := tooltest.Call[documents.Text](t, find(t, "documents_read"), src, `{"id":"id"}`)
			if !got.Truncated || !strings.HasSuffix(got.Text, c.says) || len(got.Text) > c.most || !utf8.ValidString(got.Text) {
				t.Errorf("truncated %v, %d bytes, end %q", got.Truncated, len(got.Text), got.Text[max(0, len(got.Text)-60):])
			}
			head, _, _ := strings.Cut(got.Text, "\n\n[cut:")
			if !strings.HasPrefix(c.f.text, head) {
				t.Error("the text is not the beginning of the document")
			}
		})
	}
	whole := strings.Repeat("a", 200<<10)
	src := tooltest.NewSource(t, "google", &drive{files: map[string]file{"id": {name: "f", mime: "text/plain", text: whole}}})
	if got := tooltest.Call[documents.Text](t, find(t, "documents_read"), src, `{"id":"id"}`); got.Truncated || got.Text != whole {
		t.Errorf("a text of the largest size was cut to %d", len(got.Text))
	}
}

// TestALargeFileIsNotFetchedWhole: a file beyond what the transport reads can still be begun.
func TestALargeFileIsNotFetchedWhole(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	src := tooltest.NewSource(t, "google", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("alt") != "media" {
			_, _ = io.WriteString(w, `{"id":"id","name":"big.log","mimeType":"text/plain","size":"12582912"}`)
			return
		}
		rec := httptest.NewRecorder()
		http.ServeContent(rec, r, "big.log", modified, strings.NewReader(strings.Repeat("l", size)))
		if rec.Body.Len() > 1<<20 {
			t.Errorf("%d bytes were asked for", rec.Body.Len())
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	got := tooltest.Call[documents.Text](t, find(t, "documents_read"), src, `{"id":"id"}`)
	if !got.Truncated || !strings.HasSuffix(got.Text, "[cut: 11.8 MiB of 12.0 MiB not shown]") {
		t.Errorf("end %q", got.Text[max(0, len(got.Text)-60):])
	}
}
