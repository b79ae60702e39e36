package sts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grantry/grantry/vault"
)

// The words of Config.Writes that ask nobody.
const (
	WritesAllow = "allow"
	WritesDeny  = "deny"
)

// maxShown is how large a body may be that a person is asked about: they see all of it.
const maxShown = 16 << 10

// quiet are headers that change nothing about what a write does; its person is not shown them.
var quiet = []string{"Accept", "Accept-Language", "User-Agent", "Idempotency-Key", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Tracestate", "Baggage"}

// permit says whether the request may change something: by the rule for writes,
// and where that asks, by its person's word on exactly this request.
func (s *Server) permit(ctx context.Context, r *http.Request, p *proxied) error {
	switch {
	case p.reads() || s.cfg.Writes == WritesAllow:
		return nil
	case s.cfg.Writes == WritesDeny:
		return refuse(http.StatusForbidden, "access_denied", "this server lets nothing be changed (tools.writes)").as("policy_deny")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxShown+1))
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "invalid_request", "the body cannot be read")
	case len(body) > maxShown:
		return refuse(http.StatusForbidden, "access_denied", fmt.Sprintf("the user has to approve what is changed (tools.writes), and a page shows no body of more than %d bytes; send less at a time", maxShown)).as("too_large_to_show")
	case !utf8.Valid(body) || p.header.Get("Content-Encoding") != "":
		return refuse(http.StatusForbidden, "access_denied", "the user has to approve what is changed (tools.writes), and a page can only show a body that is plain text in UTF-8").as("not_to_show")
	}
	p.body, p.whole = body, true
	return s.approved(ctx, r, p)
}

// approved finds the yes to exactly this request, or asks for it.
func (s *Server) approved(ctx context.Context, r *http.Request, p *proxied) error {
	want := s.proxyRequest(p)
	which, err := s.cfg.Vault.Which(ctx, want)
	if err != nil {
		return s.lacks(ctx, p, err)
	}
	if p.seen, err = which.Place(p.asksFor); err != nil {
		return s.notThere(p)
	}
	write, err := p.write()
	if err != nil {
		return err
	}
	if id := r.Header.Get(approvalHeader); id != "" {
		return s.take(ctx, p, want, write, id)
	}
	if p.approval, err = s.cfg.Vault.Approved(ctx, want, write); err != nil {
		return s.lacks(ctx, p, err)
	}
	if p.approval == "" {
		return s.approve(ctx, p, want, write)
	}
	return nil
}

// take takes the approval that the request names. It lets exactly the request go that it was given for.
func (s *Server) take(ctx context.Context, p *proxied, want vault.Request, write vault.Write, id string) error {
	no := func(kind, text string) error { return refuse(http.StatusForbidden, "access_denied", text).as(kind) }
	a, err := s.cfg.Vault.TakeApproved(ctx, p.subject.person.Caller, p.workload.agent(), p.tool, id)
	ran, isRan := errors.AsType[*vault.RanError](err)
	switch {
	case errors.Is(err, vault.ErrStale):
		return s.approve(ctx, p, want, write)
	case isRan:
		return no("already_ran", "the approved request has run already, at "+ran.At.UTC().Format(time.RFC3339)+"; it is not sent again")
	case errors.Is(err, vault.ErrNotFound):
		return no("approval_unknown", "there is no such approval for this request")
	case errors.Is(err, vault.ErrGone):
		return no("approval_over", "the user declined this, or did not answer in time; to ask again, send it without "+approvalHeader)
	case err != nil:
		return err
	case !bytes.Equal(a.Digest, write.Digest):
		return no("approval_arguments", "this is not the request that the user approved: method, host, path, query, headers and body must be the same")
	}
	p.approval = a.ID
	return nil
}

// approve opens the ticket that asks for the yes.
func (s *Server) approve(ctx context.Context, p *proxied, want vault.Request, write vault.Write) error {
	out := refuse(http.StatusForbidden, string(vault.ApprovalRequired), "the user has to approve exactly this request; lead them to consent_uri, then send it again within 5 minutes, with "+approvalHeader+" or without")
	out.reason = vault.ApprovalRequired
	t, err := s.open(ctx, &p.call, vault.TicketRequest{Owner: p.subject.person, Agent: p.workload.agent(), Tool: p.tool, Write: &write, Call: want}, out)
	if err == nil {
		out.approval = t.Approval
	}
	return out
}

// write is the request as its person is asked about it, and as it is sent after their yes. Its name is
// the rule that lets it go: a yes "for an hour" is for that, and the page says so.
func (p *proxied) write() (vault.Write, error) {
	shown := []field{
		{"request", p.method + " " + strings.TrimSuffix(p.seen.String(), "/") + p.to.Encoded()},
	}
	if p.to.Query != "" {
		shown = append(shown, field{"query", p.to.Query})
	}
	sum := sha256.New()
	part := func(s string) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		sum.Write([]byte(s))
	}
	for _, s := range []string{"grantry/proxy/v1", p.method, p.seen.String(), p.to.Path, p.to.Query} {
		part(s)
	}
	for _, name := range slices.Sorted(maps.Keys(p.header)) {
		if slices.Contains(quiet, name) {
			continue
		}
		value := strings.Join(p.header[name], ", ")
		part(name)
		part(value)
		shown = append(shown, field{"header " + name, value})
	}
	part(string(p.body))
	args, err := arguments(shown, p.body, p.header.Get("Content-Type"))
	return vault.Write{
		Tool: p.tool, Title: "Send " + p.rule.String() + " to " + p.where(), Destroy: p.method == http.MethodDelete,
		Arguments: args, Digest: sum.Sum(nil),
	}, err
}

// field is a line of the page.
type field struct{ name, value string }

// arguments are an object in the order of its fields, and the body last: as
// the values that it has where it is JSON, else as text. What is the digest's is the body as it came.
func arguments(fields []field, body []byte, kind string) (json.RawMessage, error) {
	var b bytes.Buffer
	sep := byte('{')
	add := func(name string, value any) error {
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("encoding request: %w", err)
		}
		raw, err := json.Marshal(value)
		b.WriteByte(sep)
		sep = ','
		b.Write(key)
		b.WriteByte(':')
		b.Write(raw)
		return err
	}
	for _, f := range fields {
		if err := add(f.name, f.value); err != nil {
			return nil, err
		}
	}
	var value any = string(body)
	if media, _, err := mime.ParseMediaType(kind); err == nil && (media == "application/json" || strings.HasSuffix(media, "+json")) && json.Valid(body) {
		value = json.RawMessage(body)
	}
	if len(body) > 0 {
		if err := add("body", value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
