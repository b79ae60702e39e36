package authserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/mcp"

	"github.com/grantry/grantry/vault/assertion"
)

const (
	authorizePath  = "/oauth/authorize"
	tokenPath      = "/oauth/token"
	registerPath   = "/oauth/register"
	revocationPath = "/oauth/revoke"
	keysPath       = "/oauth/jwks"

	metadataPath  = "/.well-known/oauth-authorization-server"
	discoveryPath = "/.well-known/openid-configuration"

	wellKnownKeysPath = "/.well-known/jwks.json" // where some libraries look, whatever the metadata says
)

// Server is the authorization server. Its neighbours are the pages, which sign
// people in and ask them, and the app's dispatcher in front of the token endpoint.
type Server struct {
	op.UnimplementedServer

	cfg       Config
	op        http.Handler
	documents *documents
	limits    *limits
	keys      *keyring                 // of access tokens
	idKeys    *keyring                 // of ID tokens
	verifiers map[string]*mcp.Verifier // by audience
	families  *families
}

// New makes a server; it reads and starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, limits: newLimits(cfg.Now, cfg.CallsPerMinute), verifiers: map[string]*mcp.Verifier{}}
	s.documents = &documents{fetch: cfg.Fetch, now: cfg.Now, kept: map[string]keptDocument{}}
	s.documents.keys = &fetchedKeys{fetch: cfg.FetchKeys, now: cfg.Now, kept: map[string]assertion.KeySource{}}
	s.keys = newKeyring(cfg, "signing", ecdsaKey, accessTTL)
	s.idKeys = newKeyring(cfg, "id", rsaKey, idTokenTTL)
	s.families = newFamilies(cfg)
	for _, audience := range []string{s.resource(), s.Application(), s.Accounts()} {
		v, err := mcp.NewVerifier(mcp.VerifierConfig{
			Issuer: cfg.PublicURL, Audiences: []string{audience}, SubjectClaims: []string{claimGrant}, AgentClaims: []string{"client_id"},
			Keys: s.keys.verifying, LoopbackHTTP: true, Now: cfg.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("configuring authorization server: %w", err)
		}
		s.verifiers[audience] = v
	}
	s.op = op.RegisterServer(s, op.Endpoints{
		Authorization: op.NewEndpoint(authorizePath), Token: op.NewEndpoint(tokenPath),
		Revocation: op.NewEndpoint(revocationPath),
	}, op.WithEncoder(issEncoder{oidc.NewEncoder(), cfg.PublicURL}), op.WithServerCORSOptions(nil))
	return s, nil
}

// Mount puts every endpoint but the token endpoint on mux.
func (s *Server) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+authorizePath, s.authorize)
	mux.HandleFunc("GET "+authorizePath+"/{request}", s.answer)
	s.public(mux, http.MethodPost, revocationPath, s.counted(s.op))
	for _, path := range []string{keysPath, wellKnownKeysPath} {
		s.public(mux, http.MethodGet, path, http.HandlerFunc(s.publicKeys))
	}
	if s.cfg.Registration {
		s.public(mux, http.MethodPost, registerPath, http.HandlerFunc(s.register))
	}
	meta := http.HandlerFunc(s.metadata)
	for _, path := range []string{metadataPath, metadataPath + "/mcp", discoveryPath, discoveryPath + "/mcp", "/mcp" + discoveryPath} {
		s.public(mux, http.MethodGet, path, meta)
	}
}

// Token is the token endpoint, for forms. The app sends grants of other kinds elsewhere.
func (s *Server) Token() http.Handler {
	return s.counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil && r.Form.Get("grant_type") == "authorization_code" && !r.Form.Has("redirect_uri") {
			r.Form.Set("redirect_uri", noRedirect)
		}
		s.op.ServeHTTP(w, r)
	}))
}

// public mounts what clients in browsers may call from any origin: no cookie is looked at.
func (s *Server) public(mux *http.ServeMux, method, path string, next http.Handler) {
	mux.Handle(method+" "+path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
		if method == http.MethodPost {
			r.URL.RawQuery = "" // credentials in an address end up in logs (RFC 6749 §2.3.1)
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		next.ServeHTTP(w, r)
	}))
	mux.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", method)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Protocol-Version")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

const maxForm = 64 << 10

// issEncoder says in every error redirect who we are (RFC 9207).
type issEncoder struct {
	next interface {
		Encode(src any, dst map[string][]string) error
	}
	issuer string
}

// Encode writes src and iss into dst.
func (e issEncoder) Encode(src any, dst map[string][]string) error {
	dst["iss"] = []string{e.issuer}
	return e.next.Encode(src, dst)
}

// broken logs what happened and answers what a client may know of it.
func (s *Server) broken(ctx context.Context, err error) error {
	s.cfg.Logger.ErrorContext(ctx, "authorization server", "error", err)
	return oidc.ErrServerError().WithDescription("the vault cannot be used now; try again later")
}

// random draws n bytes as base64url.
func (s *Server) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("drawing random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// oauthError answers as RFC 6749 §5.2 says.
func oauthError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
		Text  string `json:"error_description"`
	}{code, text})
}

func writeJSON[T any](w http.ResponseWriter, status int, body T) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
