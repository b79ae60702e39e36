package authserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/vault/assertion"
)

// checkAssertion is private_key_jwt: signed by a key of the client's, for us, for a short time, and once.
func (s *Server) checkAssertion(ctx context.Context, c *client, cc *op.ClientCredentials) error {
	if cc.ClientAssertion == "" || cc.ClientSecret != "" {
		return refusedClient(ctx, "this client proves itself by a client assertion (private_key_jwt)")
	}
	base := s.cfg.PublicURL
	err := assertion.Client(ctx, s.cfg.Records, s.cfg.Now(), c.ID, c.keys, []string{base, base + "/", base + tokenPath}, cc.ClientAssertion)
	refused, ok := errors.AsType[*assertion.RefusedError](err)
	switch {
	case err == nil:
		return nil
	case ok:
		return refusedClient(ctx, "the client assertion is not valid: "+refused.Why)
	case errors.Is(err, assertion.ErrRecords):
		return s.broken(ctx, err)
	}
	s.cfg.Logger.WarnContext(ctx, "the keys of a client cannot be had", "client", c.ID, "error", err)
	return op.NewStatusError(&oidc.Error{ErrorType: "temporarily_unavailable", Description: "the keys of this client cannot be had now"}, http.StatusServiceUnavailable)
}
