package authserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	typeWeb    = "web"
	typeNative = "native"

	maxRedirects = 20
	maxName      = 200 // characters
)

// metadataError is what is wrong with a client's metadata (RFC 7591 §3.2.2).
type metadataError struct{ code, text string }

// Error is a sentence for the client's developer.
func (e *metadataError) Error() string { return e.text }

func badMetadata(format string, args ...string) error {
	return &metadataError{"invalid_client_metadata", sentence(format, args)}
}

func badRedirect(format string, args ...string) error {
	return &metadataError{"invalid_redirect_uri", sentence(format, args)}
}

func sentence(format string, args []string) string {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	return fmt.Sprintf(format, values...)
}

// clientMetadata is what a client says of itself, in a document or when it registers (RFC 7591 §2).
type clientMetadata struct {
	fields map[string]json.RawMessage
}

// readMetadata reads by exact names: a struct would take "Redirect_URIs" for redirect_uris.
func readMetadata(body []byte) (m clientMetadata, err error) {
	if err := json.Unmarshal(body, &m.fields); err != nil || m.fields == nil {
		return m, badMetadata("not a JSON object")
	}
	return m, nil
}

func (m clientMetadata) text(name string) (string, error) {
	raw, ok := m.fields[name]
	if !ok || string(raw) == "null" {
		return "", nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", badMetadata("%s is not a string", name)
	}
	return s, nil
}

func (m clientMetadata) list(name string) ([]string, error) {
	raw, ok := m.fields[name]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var l []string
	if json.Unmarshal(raw, &l) != nil {
		return nil, badMetadata("%s is not a list of strings", name)
	}
	return l, nil
}

// client reads name, redirect URIs and type, and refuses what this server does not do.
func (m clientMetadata) client() (*client, error) {
	name, errName := m.text("client_name")
	uris, errURIs := m.list("redirect_uris")
	kind, errKind := m.text("application_type")
	if err := errors.Join(errName, errURIs, errKind); err != nil {
		return nil, firstOf(errName, errURIs, errKind)
	}
	if err := m.flows(); err != nil {
		return nil, err
	}
	kind, err := checkTargets(uris, kind)
	if err != nil {
		return nil, err
	}
	return &client{Name: cleaned(name), RedirectURIs: uris, Type: kind}, nil
}

func firstOf(errs ...error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	return errs[i]
}

// flows are the code flow; other ones beside it do no harm.
func (m clientMetadata) flows() error {
	for name, needed := range map[string]string{"grant_types": "authorization_code", "response_types": "code"} {
		all, err := m.list(name)
		if err != nil {
			return err
		}
		if len(all) > 0 && !slices.Contains(all, needed) {
			return badMetadata("%s must include %s", name, needed)
		}
	}
	return nil
}

// checkTargets holds application_type: a web client's answers go to an https
// site, a native one's to its machine, its own scheme or a site. Where it is
// missing, the redirect URIs tell.
func checkTargets(uris []string, kind string) (string, error) {
	if len(uris) == 0 || len(uris) > maxRedirects {
		return "", badRedirect("redirect_uris must list one to 20 addresses")
	}
	if kind != "" && kind != typeWeb && kind != typeNative {
		return "", badMetadata("application_type must be web or native")
	}
	found := typeWeb
	for _, uri := range uris {
		t, err := targetOf(uri)
		if err != nil {
			return "", badRedirect("a redirect URI is %s", err.Error())
		}
		if t != targetWeb {
			found = typeNative
		}
	}
	if kind == typeWeb && found == typeNative {
		return "", badRedirect("a client of application_type web needs https redirect URIs; register as native for this machine or an app's scheme")
	}
	if kind == "" {
		kind = found
	}
	return kind, nil
}

// cleaned is a name as it may be kept: what it says is shown as the client's own word.
func cleaned(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	if cut := []rune(name); len(cut) > maxName {
		name = string(cut[:maxName])
	}
	return strings.TrimSpace(name)
}
