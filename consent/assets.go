package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// asset is a file that pages refer to: the style sheet and the icon.
type asset struct {
	body, contentType string
	hash              string // in the address, so that a browser may keep it for good
}

func newAsset(body, contentType string) asset {
	sum := sha256.Sum256([]byte(body))
	return asset{body: body, contentType: contentType, hash: hex.EncodeToString(sum[:6])}
}

func (h *Handler) mountAssets(mux *http.ServeMux) {
	for name, a := range h.pages.assets {
		mux.HandleFunc("GET "+assetPath+name, func(w http.ResponseWriter, r *http.Request) { h.serveAsset(w, r, a) })
	}
}

const assetPath = "/assets/"

// serveAsset needs nobody and sets no cookie: the files are the same for all.
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request, a asset) {
	h.setHeaders(w.Header())
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.RawQuery == "v="+a.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(a.body)) // the browser went away
	}
}

// assetURL is where a page finds an asset as it is in this program.
func (p *pages) assetURL(name string) string { return assetPath + name + "?v=" + p.assets[name].hash }
