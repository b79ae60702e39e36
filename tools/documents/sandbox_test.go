package documents_test

import (
	"strings"
	"testing"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/documents"
	"github.com/grantry/grantry/tools/tooltest"
)

// TestAgainstTheSandbox reads every document that a search of the sandbox finds.
func TestAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "google", "https://www.googleapis.com/auth/drive.readonly")
	kinds, cut := map[string]bool{}, false
	for _, word := range []string{"plan", "budget", "notes", "the", "transcript", "review", "report"} {
		found := tooltest.Call[documents.DocumentList](t, find(t, "documents_search"), src, `{"query":"`+word+`","limit":100}`)
		for _, d := range found.Documents {
			res, err := find(t, "documents_read").Call(t.Context(), src, []byte(`{"id":"`+d.ID+`"}`))
			if e, ok := err.(*tools.InputError); ok && strings.Contains(e.Reason, d.MIMEType) {
				continue // a picture or a folder
			}
			if err != nil {
				t.Errorf("%s (%s): %v", d.Title, d.MIMEType, err)
				continue
			}
			tooltest.Conforms(t, find(t, "documents_read"), res)
			kinds[d.MIMEType] = true
			cut = cut || strings.Contains(res.Text, `not shown]","truncated":true`)
		}
	}
	if len(kinds) < 3 || !cut {
		t.Errorf("read %v; a text was cut: %v", kinds, cut)
	}

	nothing := tooltest.Call[documents.DocumentList](t, find(t, "documents_search"), src, `{"query":"' or trashed = true or 'x"}`)
	if len(nothing.Documents) != 0 {
		t.Errorf("found %v", nothing.Documents)
	}
}
