package consent

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"time"
)

// visitor is the browser of somebody who is not signed in, by a cookie that
// stands for nothing but this browser: the form that signs them in is bound to
// it. Without one it is given one, which nothing is kept of here.
func (h *Handler) visitor(v *visit) (string, error) {
	if id := h.visitorID(v); id != "" || v.r.Method != http.MethodGet {
		return id, nil
	}
	id, err := h.random()
	if err != nil {
		return "", err
	}
	http.SetCookie(v.w, &http.Cookie{
		Name: h.cookieName("visitor"), Value: id, Path: "/", MaxAge: int(time.Hour / time.Second),
		HttpOnly: true, Secure: h.https, SameSite: http.SameSiteLaxMode,
	})
	return id, nil
}

func (h *Handler) visitorID(v *visit) string {
	c, err := v.r.Cookie(h.cookieName("visitor"))
	if err != nil || len(c.Value) != base64.RawURLEncoding.EncodedLen(32) {
		return ""
	}
	return c.Value
}

// visitorToken is the form token of one visitor and one form.
func (h *Handler) visitorToken(visitor, form string) string {
	return base64.RawURLEncoding.EncodeToString(h.cfg.Vault.MAC("consent/visitor/v1", []byte(visitor+"\x00"+form)))
}

// visitorTokenValid says whether the form that came was made for this visitor (R11).
func (h *Handler) visitorTokenValid(v *visit, form string) bool {
	id := h.visitorID(v)
	return id != "" && hmac.Equal([]byte(v.r.PostForm.Get("csrf")), []byte(h.visitorToken(id, form)))
}
