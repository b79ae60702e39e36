//go:build cloudkms

package seal

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/vault/api"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"        // awskms://
	_ "gocloud.dev/secrets/azurekeyvault" // azurekeyvault://
	_ "gocloud.dev/secrets/gcpkms"        // gcpkms://
	_ "gocloud.dev/secrets/hashivault"    // hashivault://, server and token from VAULT_ADDR and VAULT_TOKEN
)

func cloudKeeper() func(context.Context, string) (Keeper, error) {
	return func(ctx context.Context, url string) (Keeper, error) {
		k, err := secrets.OpenKeeper(ctx, url)
		if err != nil {
			return nil, err
		}
		return &cloudKey{keeper: k}, nil
	}
}

// cloudKey makes a keeper's calls end with their context, which Vault's client
// does not see, and takes what the KMS answered out of their errors. One
// goroutine uses it.
type cloudKey struct {
	keeper *secrets.Keeper
	left   bool // a call goes on that nobody waits for
}

func (c *cloudKey) Encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	return c.call(ctx, plaintext, c.keeper.Encrypt)
}

func (c *cloudKey) Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error) {
	return c.call(ctx, ciphertext, c.keeper.Decrypt)
}

// Close does not wait for a call that was left: gocloud's would, for ever.
func (c *cloudKey) Close() error {
	if c.left {
		go func() { _ = c.keeper.Close() }()
		return nil
	}
	if err := c.keeper.Close(); err != nil {
		return cause(err)
	}
	return nil
}

func (c *cloudKey) call(ctx context.Context, in []byte, do func(context.Context, []byte) ([]byte, error)) ([]byte, error) {
	type answer struct {
		out []byte
		err error
	}
	done := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("the KMS answered nothing that can be read")}
		defer func() {
			_ = recover() // gocloud asserts types in Vault's JSON without looking
			done <- a
		}()
		out, err := do(ctx, in)
		if err != nil {
			err = cause(err)
		}
		a = answer{out, err}
	}()
	select {
	case a := <-done:
		return a.out, a.err
	case <-ctx.Done():
		c.left = true
		return nil, ctx.Err()
	}
}

// cause names what went wrong without the text of the KMS.
func cause(err error) error {
	var vault *api.ResponseError
	var network *net.OpError
	switch {
	case errors.As(err, &vault):
		return fmt.Errorf("the KMS answered status %d", vault.StatusCode)
	case errors.As(err, &network):
		return fmt.Errorf("the KMS cannot be reached: %w", network)
	}
	return fmt.Errorf("the KMS answered %s", gcerrors.Code(err))
}
