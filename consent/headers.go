package consent

import "net/http"

// policy lets in our own style sheet and icon, and nothing that runs.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// setHeaders are what every answer carries (R09). form-action stays 'self'
// because Allow answers with a page of ours that moves on: Chrome and Safari
// apply form-action to the whole redirect chain after a POST.
func (h *Handler) setHeaders(to http.Header) {
	to.Set("Content-Security-Policy", policy)
	to.Set("X-Content-Type-Options", "nosniff")
	to.Set("X-Frame-Options", "DENY")
	to.Set("Referrer-Policy", "no-referrer")
	to.Set("Cross-Origin-Opener-Policy", "same-origin")
	to.Set("Cross-Origin-Resource-Policy", "same-origin")
	to.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "+
		"magnetometer=(), microphone=(), payment=(), publickey-credentials-get=(), usb=()")
	to.Set("Cache-Control", "no-store")
	if h.https {
		to.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
