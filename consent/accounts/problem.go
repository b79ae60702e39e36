package accounts

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/grantry/grantry/vault"
)

// answer is what a call answers when it is not refused.
type answer struct {
	status int
	body   []byte // JSON; nil = none
}

func reply[T any](status int, body T) (answer, error) {
	raw, err := json.Marshal(body)
	return answer{status, raw}, err
}

func (a answer) write(w http.ResponseWriter) {
	if a.body != nil {
		w.Header().Set("Content-Type", "application/json") // to the letter: some libraries read no other
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client went away
}

// problem is an answer that says no (RFC 9457, with Auth0's validation_errors).
type problem struct {
	Type    string    `json:"type"`
	Status  int       `json:"status"`
	Title   string    `json:"title"`
	Detail  string    `json:"detail"`
	Invalid []invalid `json:"validation_errors,omitempty"`

	challenge string
	retry     time.Duration
}

// invalid is one thing that is wrong with a request.
type invalid struct {
	Detail  string `json:"detail"`
	Field   string `json:"field,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Source  string `json:"source,omitempty"` // "query"
}

// Error names the kind.
func (p *problem) Error() string { return "connected accounts: " + p.Type }

// problemURN begins the types of problems.
const problemURN = "urn:grantry:connected-accounts:"

func refusal(status int, kind, detail string) *problem {
	return &problem{Type: problemURN + kind, Status: status, Title: http.StatusText(status), Detail: detail}
}

func badRequest(wrong ...invalid) *problem {
	p := refusal(http.StatusBadRequest, "invalid_request", "The request is not as it should be; validation_errors says where.")
	p.Invalid = wrong
	return p
}

// refuse answers an error: what is no *problem is looked at by what the vault says.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r, err)
	h := w.Header()
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retry.Seconds()))))
	}
	a, err := reply(p.Status, p)
	if err != nil {
		a.status = http.StatusInternalServerError
	}
	a.write(w)
}

func (s *Server) problemOf(r *http.Request, err error) *problem {
	var p *problem
	var limit *vault.LimitError
	var stopped *vault.StoppedError
	var lack *vault.ConsentError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &limit):
		p = refusal(http.StatusTooManyRequests, "too_many_requests", "The person has too many open requests of this application. Finish one of them, or try again later.")
		p.retry = max(limit.Until.Sub(s.cfg.Now()), time.Minute)
		return p
	case errors.As(err, &stopped):
		return refusal(http.StatusForbidden, "stopped", "The person has stopped this application. They can let it go on at "+s.cfg.PublicURL+"/agents.")
	case errors.As(err, &lack) && lack.Reason == vault.ConnChanged:
		return refusal(http.StatusConflict, "connection_changed", "The connection's settings have changed since the browser was at the vendor. Start again with connect.")
	case errors.Is(err, vault.ErrConflict):
		return refusal(http.StatusConflict, "conflict", "This has been done already: the answer of connect counts once.")
	}
	s.cfg.Logger.ErrorContext(r.Context(), "connected accounts", "error", err)
	p = refusal(http.StatusServiceUnavailable, "unavailable", "The vault cannot be used now. Try again in a moment.")
	p.retry = 5 * time.Second
	return p
}
