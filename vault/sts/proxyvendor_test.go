package sts_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// books are what the vendor's API was asked.
type books struct {
	asked   []asked
	refuses int           // the API answers 401 so often, and the token is dead
	left    chan struct{} // somebody went away
}

// asked is one request that came to the vendor.
type asked struct {
	method, uri, host, who, body string
	header                       http.Header
}

// api answers below "/" and, for "files", below "/instance/". Its last segment says how.
func (v *vendor) api(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/instance")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	who := v.whose(token)
	var body []byte
	if !strings.HasSuffix(path, "/sink") && !strings.HasSuffix(path, "/early") {
		body, _ = io.ReadAll(r.Body)
	}
	v.mu.Lock()
	v.asked = append(v.asked, asked{method: r.Method, uri: r.RequestURI, host: r.Host, who: who, body: string(body), header: r.Header.Clone()})
	dead := v.refuses > 0
	if dead {
		v.refuses--
		delete(v.owner, token)
	}
	v.mu.Unlock()
	if who == "" || dead {
		w.Header().Set("WWW-Authenticate", `Bearer realm="vendor"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	q := r.URL.Query()
	switch path[strings.LastIndex(path, "/")+1:] {
	case "page":
		for name, value := range map[string]string{
			"Set-Cookie": "sid=vendor", "WWW-Authenticate": "Basic", "Content-Security-Policy": "default-src *", "Access-Control-Allow-Origin": "*", "Clear-Site-Data": "*",
			"Refresh": "0;url=https://evil.example", "Content-Type": "text/html", "Etag": `"1"`, "X-Echo": "you sent " + token, "Grantry-Error": "spoof", "Keep-Alive": "timeout=5",
			"Connection": "X-Hop", "X-Hop": "1", "Content-Disposition": "inline", "Service-Worker-Allowed": "/", "X-Rate": "5",
		} {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	case "echo":
		_, _ = io.WriteString(w, "your header: ")
		if q.Has("late") {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, token[:5])
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
			_, _ = io.WriteString(w, token[5:])
			return
		}
		_, _ = io.WriteString(w, token)
	case "big":
		n, _ := strconv.Atoi(q.Get("mb"))
		piece := []byte(strings.Repeat("x", 1<<20))
		for range n {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	case "sink":
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	case "early": // answers before it reads
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "soon ")
		w.(http.Flusher).Flush()
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	case "drip":
		v.drip(w, r)
	case "silent":
		v.silent(w, r)
	case "moved":
		w.Header().Set("Location", q.Get("to"))
		code, _ := strconv.Atoi(q.Get("code"))
		w.WriteHeader(code)
	case "narrow":
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="mail.read"`)
		w.WriteHeader(http.StatusForbidden)
	default:
		_, _ = fmt.Fprintf(w, "%s for %s", r.Method, who)
	}
}

// requests are those that came to the API so far.
func (v *vendor) requests() []asked {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]asked(nil), v.asked...)
}

// drip answers piece by piece.
func (v *vendor) drip(w http.ResponseWriter, r *http.Request) {
	for i := range 1000 {
		if _, err := fmt.Fprintf(w, "%d\n", i); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			v.left <- struct{}{}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// silent answers nothing, or nothing after some text.
func (v *vendor) silent(w http.ResponseWriter, r *http.Request) {
	if text := r.URL.Query().Get("after"); text != "" {
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
	<-r.Context().Done()
	v.left <- struct{}{}
}
