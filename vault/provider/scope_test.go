package provider_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
	"pgregory.net/rapid"
)

func lookup(t *testing.T, name string) *provider.Provider {
	t.Helper()
	p, ok := provider.Catalog().Lookup(name)
	if !ok {
		t.Fatalf("no provider %q", name)
	}
	return p
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ vendor, scope, want string }{
		{"google", "email", "https://www.googleapis.com/auth/userinfo.email"},
		{"google", "openid", "openid"},
		{"google", "calendar.readonly", calendarReadonly},
		{"google", calendarReadonly, calendarReadonly},
		{"google", "not.known", "not.known"},
		{"microsoft", "https://graph.microsoft.com/mail.read", "Mail.Read"},
		{"microsoft", "HTTPS://GRAPH.MICROSOFT.COM/Mail.ReadWrite", "Mail.ReadWrite"},
		{"microsoft", "files.readwrite.all", "Files.ReadWrite.All"},
		{"microsoft", "Custom.Thing", "custom.thing"},
		{"microsoft", "https://graph.microsoft.com/", "https://graph.microsoft.com/"},
		{"slack", "chat:write", "chat:write"},
		{"slack", "Chat:Write", "Chat:Write"},
	} {
		if got := lookup(t, v.vendor).Normalize(v.scope); got != v.want {
			t.Errorf("%s: %q became %q, want %q", v.vendor, v.scope, got, v.want)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		vendor, granted, want string
		covered               bool
	}{
		{"google", "calendar", "calendar.readonly", true},
		{"google", "calendar.readonly", "calendar", false},
		{"google", "calendar.events", "calendar.freebusy", false}, // freebusy.query refuses it
		{"google", "drive.file", "drive.readonly", false},
		{"google", "drive", "documents.readonly", true},
		{"google", "https://mail.google.com/", "gmail.send", true},
		{"google", "email", "https://www.googleapis.com/auth/userinfo.email", true},
		{"microsoft", "mail.readwrite", "Mail.Read", true},
		{"microsoft", "Mail.ReadWrite", "Mail.Send", false},
		{"github", "repo", "public_repo", true},
		{"github", "user", "user:email", true},
		{"slack", "channels:history", "groups:history", false},
		{"box", "root_readwrite", "root_readonly", true},
		{"salesforce", "full", "api", true},
		{"salesforce", "full", "refresh_token", false},
		{"salesforce", "api", "id", true},
	} {
		if got := lookup(t, v.vendor).Covers([]string{"other", v.granted}, v.want); got != v.covered {
			t.Errorf("%s: %q covers %q: %v", v.vendor, v.granted, v.want, got)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	p := lookup(t, "google")
	need := provider.Need{Provider: "google", Groups: [][]string{{driveReadonly, "https://www.googleapis.com/auth/drive"}, {calendarReadonly}, {}}}
	for granted, want := range map[string][]string{
		"":                        {driveReadonly, calendarReadonly},
		"drive":                   {calendarReadonly},
		"drive calendar":          nil,
		"calendar.readonly":       {driveReadonly},
		"drive.file calendar":     {driveReadonly},
		"drive.metadata.readonly": {driveReadonly, calendarReadonly},
	} {
		if diff := cmp.Diff(want, p.Missing(provider.ParseScopes(granted), need)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", granted, diff)
		}
	}
	if diff := cmp.Diff([]string{driveReadonly, calendarReadonly}, need.Ask()); diff != "" {
		t.Error(diff)
	}
}

// TestCatalog holds the data to its own rules.
func TestCatalog(t *testing.T) {
	t.Parallel()
	set := provider.Catalog()
	want := []string{"box", "github", "google", "microsoft", "oauth2", "oidc", "salesforce", "slack"}
	if diff := cmp.Diff(want, set.Names()); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range set.Names() {
		p := lookup(t, name)
		if p.Name != name || p.Title == "" || p.Redirect.Loopback == "" || len(p.Unverified) == 0 || len(p.Identity.ID) == 0 {
			t.Errorf("%s lacks a name, title, redirect rule, identity or a list of what is unverified", name)
		}
		if unmarked := !p.Redirect.Verified && !strings.Contains(strings.Join(p.Unverified, " "), "redirect"); unmarked && !p.Discover && !p.Configured {
			t.Errorf("%s: an unverified redirect rule that the list does not name", name)
		}
		for _, s := range p.Scope.Always {
			if !p.Knows(s) {
				t.Errorf("%s: no words for %q, which is always asked", name, s)
			}
		}
		covers(t, p)
		words(t, p)
	}
}

// covers holds the cover table: normalized, without itself, closed, with words.
func covers(t *testing.T, p *provider.Provider) {
	t.Helper()
	for s, covered := range p.Scope.Implies {
		for _, c := range append(slices.Clone(covered), s) {
			if p.Normalize(c) != c {
				t.Errorf("%s: %q is not normalized", p.Name, c)
			}
			if _, ok := p.Scope.Text[c]; !ok {
				t.Errorf("%s: no words for %q", p.Name, c)
			}
			for _, further := range p.Scope.Implies[c] {
				if further != s && !slices.Contains(covered, further) {
					t.Errorf("%s: %q covers %q, which covers %q", p.Name, s, c, further)
				}
			}
		}
		if slices.Contains(covered, s) {
			t.Errorf("%s: %q covers itself", p.Name, s)
		}
		for _, c := range covered {
			if p.Scope.Text[c].Write && !p.Scope.Text[s].Write {
				t.Errorf("%s: %q only reads and covers %q, which writes", p.Name, s, c)
			}
		}
	}
}

func words(t *testing.T, p *provider.Provider) {
	t.Helper()
	for s, text := range p.Scope.Text {
		if len(text.Can) < 8 || text.Can[0] < 'A' || text.Can[0] > 'Z' || strings.HasSuffix(text.Can, ".") {
			t.Errorf("%s: %q is described as %q", p.Name, s, text.Can)
		}
		if got, ok := p.Describe(s); !ok || got != text {
			t.Errorf("%s: %q is not found", p.Name, s)
		}
	}
}

// TestCatalogIsFresh: what one caller changes no other sees.
func TestCatalogIsFresh(t *testing.T) {
	t.Parallel()
	p := lookup(t, "google")
	p.Scope.Implies[calendarReadonly] = []string{driveReadonly}
	p.APIHosts[0] = "evil.example"
	if q := lookup(t, "google"); q.Covers([]string{calendarReadonly}, driveReadonly) || q.APIHosts[0] == "evil.example" {
		t.Error("the catalog changed")
	}
}

// TestScopeSets: the stored form is a sorted set, and normalizing twice changes nothing.
func TestScopeSets(t *testing.T) {
	t.Parallel()
	providers := make(map[string]*provider.Provider)
	for _, name := range provider.Catalog().Names() {
		providers[name] = lookup(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		scopes := rapid.SliceOf(rapid.StringMatching(`[A-Za-z:./_]{1,12}`)).Draw(t, "scopes")
		stored := provider.FormatScopes(scopes)
		back := provider.ParseScopes(stored)
		if provider.FormatScopes(back) != stored || !slices.IsSorted(back) || len(slices.Compact(back)) != len(back) {
			t.Fatalf("%q became %q", scopes, stored)
		}
		for name, p := range providers {
			for _, s := range scopes {
				if once := p.Normalize(s); p.Normalize(once) != once || !p.Covers([]string{s}, once) {
					t.Fatalf("%s: %q", name, s)
				}
			}
		}
	})
}
