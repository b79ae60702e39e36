package mcp

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	statePurpose = "mcp/request-state/v1"
	stateTTL     = 30 * time.Minute
)

// requestState is what a modern client carries between the rounds of one call,
// sealed by the vault. It is bound to who called what, with which arguments.
type requestState struct {
	Caller vault.Caller `json:"c"`
	Issuer string       `json:"i"` // of the agent
	Agent  string       `json:"a"`
	Tool   string       `json:"t"`
	Digest []byte       `json:"d"`
	Ticket string       `json:"k"`
	// Round counts the answers "retry later"; 0 = the link, or the form, was shown.
	Round int `json:"r"`
	// Form names the dialog that was shown instead of a link, "" when none was: only its answer is a yes to a write.
	Form    string    `json:"f,omitempty"`
	Expires time.Time `json:"e"`
}

var (
	// errStateForeign says that a request state was altered, or made for another call.
	errStateForeign = errors.New("request state is not of this call")
	// errStateExpired says that a request state is ours and too old.
	errStateExpired = errors.New("request state is expired")
)

// sealState is st, which names a ticket, bound to c.
func (s *Server) sealState(c *call, st requestState) (string, error) {
	st.Caller, st.Issuer, st.Agent = c.person.Caller, c.agent.Issuer, c.agent.ID
	st.Tool, st.Digest, st.Expires = c.entry.tool.Name, c.digest, s.cfg.Now().Add(stateTTL)
	raw, err := json.Marshal(st)
	if err != nil {
		return "", fmt.Errorf("writing request state: %w", err)
	}
	return c.vault.SealState(statePurpose, raw)
}

// openState reads what a client gave back: errStateForeign, errStateExpired or what we sealed for exactly this call.
func (s *Server) openState(c *call, sealed string) (requestState, error) {
	raw, err := c.vault.OpenState(statePurpose, sealed)
	if err != nil {
		return requestState{}, errStateForeign
	}
	var st requestState
	if err := json.Unmarshal(raw, &st); err != nil {
		return requestState{}, errStateForeign
	}
	if st.Caller != c.person.Caller || st.Issuer != c.agent.Issuer || st.Agent != c.agent.ID ||
		st.Tool != c.entry.tool.Name || subtle.ConstantTimeCompare(st.Digest, c.digest) != 1 {
		return requestState{}, errStateForeign
	}
	if s.cfg.Now().After(st.Expires) {
		return requestState{}, errStateExpired
	}
	return st, nil
}
