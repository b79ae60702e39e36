package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grantry/grantry/vault/assertion"
)

// MaxDocument is how large a client's metadata document may be, in bytes (R52).
const MaxDocument = 5 << 10

const (
	documentKept = 5 * time.Minute
	documentMost = 24 * time.Hour
	maxDocuments = 1000
)

// errDocument says that a client's metadata document is not good, or cannot be had.
var errDocument = errors.New("client metadata document")

// documents are the metadata documents of clients whose id is their address
// (draft-ietf-oauth-client-id-metadata-document). Good ones are kept as
// long as their headers say; errors are not kept.
type documents struct {
	fetch func(ctx context.Context, address string) (http.Header, []byte, error)
	now   func() time.Time
	keys  *fetchedKeys

	mu   sync.Mutex
	kept map[string]keptDocument
}

type keptDocument struct {
	client client
	until  time.Time
}

// client answers the client at that address.
func (d *documents) client(ctx context.Context, id string) (*client, error) {
	if d.fetch == nil {
		return nil, errUnknownClient
	}
	if !documentAddress(id) {
		return nil, fmt.Errorf("%w: not an address that a document can have", errDocument)
	}
	d.mu.Lock()
	kept, ok := d.kept[id]
	d.mu.Unlock()
	if ok && d.now().Before(kept.until) {
		return &kept.client, nil
	}
	header, body, err := d.fetch(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDocument, err)
	}
	c, err := d.parse(id, header.Get("Content-Type"), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDocument, err)
	}
	if ttl := freshFor(header, d.now()); ttl > 0 {
		d.keep(id, keptDocument{*c, d.now().Add(ttl)})
	}
	return c, nil
}

func (d *documents) keep(id string, doc keptDocument) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.kept) >= maxDocuments {
		clear(d.kept)
	}
	d.kept[id] = doc
}

// documentAddress holds the form of a client id that is an address: https, with a
// path, without user, fragment or dot segments, in the one spelling that is compared.
func documentAddress(id string) bool {
	if len(id) > maxAddress || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.ContainsAny(id, "#\\") {
		return false
	}
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(u.Path) < 2 {
		return false
	}
	return path.Clean(u.Path) == strings.TrimSuffix(u.Path, "/") && u.String() == id
}

// parse reads a metadata document. It proves the client by where it lies, so it
// must name itself; it may name keys besides, and may not speak of a shared secret.
func (d *documents) parse(id, contentType string, body []byte) (*client, error) {
	if len(body) > MaxDocument {
		return nil, badMetadata("larger than 5 KiB")
	}
	mime, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	if mime = strings.TrimSpace(mime); mime != "application/json" && !(strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")) {
		return nil, badMetadata("not application/json")
	}
	m, err := readMetadata(body)
	if err != nil {
		return nil, err
	}
	if name, err := m.text("client_id"); err != nil || name != id {
		return nil, badMetadata("client_id is not the document's address")
	}
	keys, err := d.proof(m)
	if err != nil {
		return nil, err
	}
	c, err := m.client()
	if err != nil {
		return nil, err
	}
	c.keys = keys
	if c.Name == "" {
		return nil, badMetadata("client_name is missing")
	}
	u, err := url.Parse(id)
	if err != nil {
		return nil, badMetadata("client_id is not an address")
	}
	c.ID, c.document = id, u.Host
	return c, nil
}

// proof is what a document says the client proves itself with: nothing, or keys,
// which stand in it or at an https address that it names.
func (d *documents) proof(m clientMetadata) (assertion.KeySource, error) {
	method, err := m.text("token_endpoint_auth_method")
	_, secret := m.fields["client_secret"]
	_, expires := m.fields["client_secret_expires_at"]
	if err != nil || secret || expires {
		return nil, badMetadata("a document cannot have a client_secret")
	}
	switch method {
	case "", "none":
		return nil, nil
	case "private_key_jwt":
	default:
		return nil, badMetadata("token_endpoint_auth_method must be none or private_key_jwt")
	}
	set, given := m.fields["jwks"]
	address, err := m.text("jwks_uri")
	switch {
	case err != nil || given == (address != ""): // RFC 7591 §2: never both
		return nil, badMetadata("private_key_jwt needs jwks or jwks_uri")
	case given:
		keys, err := assertion.ReadKeys(set)
		if err != nil {
			return nil, badMetadata("jwks has no public signing key")
		}
		return keys, nil
	case d.keys.fetch == nil || !documentAddress(address):
		return nil, badMetadata("jwks_uri is not an https address that can be fetched")
	}
	return d.keys.at(address), nil
}

// freshFor is how long an answer may be used again (RFC 9111 §4.2.1), at most a day.
func freshFor(h http.Header, now time.Time) time.Duration {
	ttl := documentKept
	if at, err := http.ParseTime(h.Get("Expires")); err == nil {
		ttl = at.Sub(now)
	}
	for _, part := range strings.Split(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); err == nil {
				ttl = time.Duration(n) * time.Second
			}
		}
	}
	return min(max(ttl, 0), documentMost)
}
