package consent

import (
	"net/http"
	"regexp"
	"strings"
)

// inApp are browsers inside another program, by what they send as User-Agent.
// They share no sign-in with the person's browser, and Google turns them away
// (disallowed_useragent).
var inApp = regexp.MustCompile(`; wv\)|\bFBA[NV]/|\bInstagram\b|\bLine/|MicroMessenger|Snapchat|musical_ly|BytedanceWebview|LinkedInApp|` +
	`\bTwitter|\bGSA/|Pinterest/|\bSlack/|Discord/|WhatsApp/|\bElectron/|Teams/|\bKAKAOTALK|DuckDuckGo/.*wv`)

// embedded says whether a request came from such a browser: also from a web
// view of iOS, which is a Safari that does not say so.
func embedded(r *http.Request) bool {
	agent := r.UserAgent()
	webView := strings.Contains(agent, "AppleWebKit/") && strings.Contains(agent, "Mobile/") && !strings.Contains(agent, "Safari/")
	return webView || inApp.MatchString(agent)
}

// embeddedPage is the link, to be taken to a browser of the person's own.
type embeddedPage struct{ Link, Here string }

// hereAnyway is the query of a person who goes on in the embedded browser.
const hereAnyway = "here=1"

// sendElsewhere answers an embedded browser with the link for another one.
func (h *Handler) sendElsewhere(v *visit, handle string) bool {
	if !embedded(v.r) || v.r.URL.RawQuery == hereAnyway {
		return false
	}
	path := ticketPath(handle)
	h.render(v, http.StatusOK, "embedded", frame{
		Title: h.say("embedded.title"), Body: embeddedPage{Link: h.cfg.PublicURL + path, Here: path + "?" + hereAnyway},
	})
	return true
}
