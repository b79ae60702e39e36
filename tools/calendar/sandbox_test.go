package calendar_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/grantry/grantry/tools/calendar"
	"github.com/grantry/grantry/tools/tooltest"
	"github.com/grantry/grantry/vault/provider"
)

const scopePrefix = "https://www.googleapis.com/auth/"

func TestAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "google", scopePrefix+"calendar.events.readonly")
	got := tooltest.Call[calendar.EventList](t, list(t), src, `{}`)
	if len(got.Events) == 0 {
		t.Fatal("no events in the next seven days")
	}
	seen := map[string]bool{}
	for _, e := range got.Events {
		layout := time.RFC3339
		if e.AllDay {
			layout = time.DateOnly
		}
		if _, err := time.Parse(layout, e.Start); err != nil || e.ID == "" || e.Title == "" || e.URL == "" || seen[e.ID] {
			t.Errorf("event %+v: %v", e, err)
		}
		seen[e.ID] = true
	}

	cursor, all := "", 0
	for ok := true; ok; ok = cursor != "" {
		args := `{"limit":2}`
		if cursor != "" {
			args = fmt.Sprintf(`{"limit":2,"cursor":%q}`, cursor)
		}
		page := tooltest.Call[calendar.EventList](t, list(t), src, args)
		all, cursor = all+len(page.Events), page.NextCursor
	}
	if all != len(got.Events) && got.NextCursor == "" {
		t.Errorf("%d events in pages of two, %d at once", all, len(got.Events))
	}
}

func TestTheSandboxAsksForAScope(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "google", scopePrefix+"drive.readonly")
	e := tooltest.Fails[*provider.ScopeError](t, list(t), src, `{}`)
	if len(e.Scopes) != 1 || e.Scopes[0] != scopePrefix+"calendar.events.readonly" {
		t.Errorf("scopes %q", e.Scopes)
	}
}
