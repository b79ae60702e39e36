package consent

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	maxForm = 64 << 10
	// formTime is how long a form's body may take to arrive.
	formTime = 10 * time.Second
)

// token is the form token for one session and one form: the ticket's handle,
// or the name of a page. It is empty without a session, and then never valid.
func (h *Handler) token(v *visit, form string) string {
	sid := h.sid(v)
	if sid == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(h.cfg.Vault.MAC("consent/form/v1", []byte(sid+"\x00"+form)))
}

// tokenValid says whether the form that came was made for this session (R11).
func (h *Handler) tokenValid(v *visit, form string) bool {
	want := h.token(v, form)
	return want != "" && hmac.Equal([]byte(v.r.PostForm.Get("csrf")), []byte(want))
}

// ticketToken is the form token of a ticket's page: also bound to the ticket as
// it was shown, so that of two answers from one page only one counts (R06).
func (h *Handler) ticketToken(v *visit, t vault.Ticket, handle string) string {
	version := strconv.FormatInt(t.Version, 10)
	return version + "." + h.token(v, version+"\x00"+handle)
}

// ticketTokenValid answers the version of the ticket that the form's page showed.
func (h *Handler) ticketTokenValid(v *visit, handle string) (int64, bool) {
	version, mac, _ := strings.Cut(v.r.PostForm.Get("csrf"), ".")
	want := h.token(v, version+"\x00"+handle)
	n, err := strconv.ParseInt(version, 10, 64)
	return n, err == nil && want != "" && hmac.Equal([]byte(mac), []byte(want))
}

// parseForm reads a form of at most 64 KiB, or answers why not.
func (h *Handler) parseForm(v *visit) bool {
	conn := http.NewResponseController(v.w)
	_ = conn.SetReadDeadline(time.Now().Add(formTime)) // a writer without a connection has nothing to wait for
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	err := v.r.ParseForm()
	if err == nil {
		_ = conn.SetReadDeadline(time.Time{})
		return true
	}
	status := http.StatusBadRequest
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	h.message(v, h.tell(status, tonePlain, "form.unreadable"))
	return false
}

func (h *Handler) forbidCrossSite(v *visit) {
	h.noteRequest(v, "cross_site")
	h.message(v, h.tell(http.StatusForbidden, toneBad, "form.cross_site"))
}
