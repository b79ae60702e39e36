package fleet

import (
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func (v *Vendor) discovery(w http.ResponseWriter, _ *http.Request) {
	at := v.URL()
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "userinfo_endpoint": at + "/userinfo",
		"revocation_endpoint": at + "/revoke", "jwks_uri": at + "/jwks", "response_types_supported": []string{"code"},
		"scopes_supported": []string{"openid", scope}, "code_challenge_methods_supported": []string{"S256"},
		"id_token_signing_alg_values_supported": []string{string(jose.ES256)},
	})
}

func (v *Vendor) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"keys": []jose.JSONWebKey{v.key.Public()}})
}

// identify sends tokens, with an id_token where the vendor gives them.
func (v *Vendor) identify(w http.ResponseWriter, subject, nonce string, out map[string]any) {
	if v.cfg.OpenID {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: v.key}, nil)
		if err == nil {
			now := time.Now().Unix()
			out["id_token"], err = jwt.Signed(signer).Claims(map[string]any{
				"iss": v.URL(), "sub": subject, "aud": clientID, "iat": now, "exp": now + 3600, "nonce": nonce,
			}).Serialize()
		}
		if err != nil {
			http.Error(w, "signing", http.StatusInternalServerError)
			return
		}
	}
	writeJSON(w, http.StatusOK, out)
}
