package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// Names of the fake vendors, as the control API and Vendor know them.
const (
	google     = "google"
	slack      = "slack"
	salesforce = "salesforce"
	issuer     = "issuer"
)

// Registration is what a client needs to use one of the fakes: the client that is registered there and
// the endpoints, all absolute. A field that the vendor lacks is empty. API replaces scheme and host of the
// vendor's API, and its path is put in front. For Slack, Userinfo is auth.test. It prints without its secret.
type Registration struct {
	ClientID, ClientSecret, Issuer, Authorization, Token, Revocation, Userinfo, JWKS, API string
}

// String names the client and nothing that is secret.
func (r Registration) String() string { return "registration of " + r.ClientID }

// GoString is String, so that %#v shows no secret either.
func (r Registration) GoString() string { return r.String() }

// LogValue is String, for slog.
func (r Registration) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Vendor is the registration that Grantry's connection of this name uses: "google", "slack" or
// "salesforce"; false for any other name.
func (s *Sandbox) Vendor(name string) (Registration, bool) {
	base := s.cfg.BaseURL + "/" + name
	r := Registration{ClientID: clientID(name), ClientSecret: s.clientSecret(name), API: base}
	switch name {
	case google:
		r.Issuer, r.Authorization, r.Token = base, base+"/o/oauth2/v2/auth", base+"/token"
		r.Revocation, r.Userinfo, r.JWKS = base+"/revoke", base+"/v1/userinfo", base+"/oauth2/v3/certs"
	case slack:
		r.Authorization, r.Token = base+"/oauth/v2/authorize", base+"/api/oauth.v2.access"
		r.Revocation, r.Userinfo = base+"/api/auth.revoke", base+"/api/auth.test"
	case salesforce:
		o := base + "/services/oauth2/"
		r.Issuer, r.Authorization, r.Token = base, o+"authorize", o+"token"
		r.Revocation, r.Userinfo, r.JWKS = o+"revoke", o+"userinfo", base+"/id/keys"
	default:
		return Registration{}, false
	}
	return r, true
}

// Issuer is the identity issuer and the confidential client "grantry" that Grantry's pages sign people in
// with; its one redirect address is PublicURL/signin/callback.
func (s *Sandbox) Issuer() Registration {
	base := s.issuerURL()
	return Registration{
		ClientID: clientID(issuer), ClientSecret: s.clientSecret(issuer), Issuer: base,
		Authorization: base + "/authorize", Token: base + "/token", Revocation: base + "/revoke",
		Userinfo: base + "/userinfo", JWKS: base + "/jwks",
	}
}

func (s *Sandbox) issuerURL() string { return s.cfg.BaseURL + "/" + issuer }

// clientID has the shape that the vendor gives its client ids.
func clientID(vendor string) string {
	switch vendor {
	case google:
		return "407408718192-grantrysandbox.apps.googleusercontent.com"
	case slack:
		return "7012345678901.7098765432109"
	case salesforce:
		return "3MVG9sandbox.grantry.sandbox.connected.app"
	case issuer:
		return "grantry"
	}
	return ""
}

// clientSecret is derived, so that it is the same after a restart and stands in no file by itself.
func (s *Sandbox) clientSecret(vendor string) string {
	mac := hmac.New(sha256.New, s.state.Root)
	mac.Write([]byte("client secret of " + vendor))
	return hex.EncodeToString(mac.Sum(nil))[:48]
}

// redirectURI is the one address to which a vendor (or the issuer, for our pages) sends people back.
func (s *Sandbox) redirectURI(vendor string) string {
	if vendor == issuer {
		return s.cfg.PublicURL + "/signin/callback"
	}
	return s.cfg.PublicURL + "/callback/" + vendor
}
