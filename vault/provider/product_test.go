package provider_test

import (
	"testing"

	"github.com/grantry/grantry/vault/provider"
)

func TestProduct(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ vendor, scope, want string }{
		{"google", "https://www.googleapis.com/auth/calendar.readonly", "Google Calendar"},
		{"google", "calendar.events", "Google Calendar"},
		{"google", "gmail.readonly", "Gmail"},
		{"google", "gmail.send", ""},
		{"google", "openid", ""},
		{"google", "https://example.com/calendar", ""},
		{"microsoft", "https://graph.microsoft.com/Mail.Read", "Outlook mail"},
		{"microsoft", "calendars.readwrite", "Outlook calendar"},
		{"microsoft", "Mail.Send", ""},
		{"slack", "chat:write", ""},
	} {
		p, ok := provider.Catalog().Lookup(c.vendor)
		if !ok {
			t.Fatalf("no %s", c.vendor)
		}
		if got := p.Product(c.scope); got != c.want {
			t.Errorf("%s of %s is %q, want %q", c.scope, c.vendor, got, c.want)
		}
	}
}
