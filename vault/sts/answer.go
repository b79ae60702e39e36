package sts

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	// skew is how much sooner than at the vendor a token is over by our word: applications keep it for exactly as long as we say.
	skew = 30 * time.Second
	// unsaid is the life of a token whose end the vendor does not name: whoever keeps it comes back soon, and meets a revocation.
	unsaid = 5 * time.Minute
)

// answer is RFC 8693 §2.2.1, without a refresh token, and where the vendor names one, where its API is.
type answer struct {
	Access  string `json:"access_token"`
	Issued  string `json:"issued_token_type"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope"`
	APIBase string `json:"api_base,omitempty"`
}

// answerOf is the one place where a vendor's token leaves for a workload.
func answerOf(t *vault.Token, r request, now time.Time) answer {
	return answer{
		Access: t.Token.Reveal(), Issued: r.issued(), Type: "Bearer",
		Expires: int64(life(t.Expiry, now, r.minTTL) / time.Second), Scope: strings.Join(t.Scopes, " "), APIBase: t.APIBase,
	}
}

// issued is issued_token_type.
func (r request) issued() string {
	if r.proxy {
		return typeProxy
	}
	return r.names.issued(r.subjectType)
}

// life is how long a token may be kept: never past the vendor's word, and of a very short one half.
func life(until, now time.Time, least time.Duration) time.Duration {
	if until.IsZero() {
		return max(unsaid, least)
	}
	left := max(until.Sub(now), 0)
	return max(left-skew, left/2)
}

// failed is RFC 6749 §5.2, with what helps to mend it.
type failed struct {
	Code     string   `json:"error"`
	Text     string   `json:"error_description"`
	Reason   string   `json:"error_reason,omitempty"`
	Missing  []string `json:"missing_scopes,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Consent  string   `json:"consent_uri,omitempty"`
	Approval string   `json:"approval,omitempty"`
}

func (r *refusal) write(w http.ResponseWriter) { r.writeTo(w, true) }

// writeTo is write; with challenge a 401 says how a client proves itself.
func (r *refusal) writeTo(w http.ResponseWriter, challenge bool) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retry.Seconds()))))
	}
	if challenge && r.status == http.StatusUnauthorized { // RFC 6749 §5.2, RFC 9110 §15.5.2
		w.Header().Set("WWW-Authenticate", cmp.Or(r.challenge, `Basic realm="grantry"`))
	}
	writeJSON(w, r.status, failed{
		Code: r.code, Text: r.text, Reason: string(r.reason), Missing: r.missing, Accounts: r.accounts, Consent: r.consent, Approval: r.approval,
	})
}

func writeJSON[T any](w http.ResponseWriter, status int, body T) {
	h := w.Header()
	h.Set("Content-Type", "application/json") // exactly: some clients compare it
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
