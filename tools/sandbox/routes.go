package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// reply is a JSON object on its way out.
type reply map[string]any

const maxBody = 1 << 20

func (s *Sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	s.mountIssuer(mux)
	s.mountGoogle(mux)
	s.mountSlack(mux)
	s.mountSalesforce(mux)
	s.mountControl(mux)
	s.mountViewers(mux)
	mux.HandleFunc("GET /{$}", s.index)
	return mux
}

// route counts an endpoint's requests, reads their bodies whole, and lets faults in.
func (s *Sandbox) route(mux *http.ServeMux, vendor, endpoint, pattern string, h http.HandlerFunc) {
	var next http.Handler = h
	if endpoint == "token" || endpoint == "userinfo" || endpoint == "api" || endpoint == "revoke" {
		next = s.troubled(vendor, endpoint, h)
	}
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.count(vendor, endpoint)
		// Read at once: net/http notices that a client has gone only after the body's end.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "request body too large or broken", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func (s *Sandbox) count(vendor, endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[vendor] == nil {
		s.seen[vendor] = map[string]int{}
	}
	s.seen[vendor][endpoint]++
}

// index is for whoever opens the bare address.
func (s *Sandbox) index(w http.ResponseWriter, _ *http.Request) {
	s.show(w, http.StatusOK, issuer, page{
		Title: "Grantry", Real: "the real vendors", Heading: "Fake Google, Slack and Salesforce",
		Lead: "There is nothing to do here. Ask your MCP client something, and follow the link that it shows; the people here are alice and bob.",
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "answer not encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// writeToken answers at a token endpoint: RFC 6749 section 5.1 wants it uncached.
func writeToken(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, status, v)
}

// oauthError is the error answer of RFC 6749 section 5.2.
func oauthError(w http.ResponseWriter, status int, code, text string) {
	writeToken(w, status, reply{"error": code, "error_description": text})
}
