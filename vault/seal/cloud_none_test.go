//go:build !cloudkms

package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

func TestCloudUnavailable(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"awskms", "gcpkms", "azurekeyvault", "hashivault"} {
		_, err := seal.OpenSource(scheme+"://arn:hunter2", seal.SourceOptions{})
		if !errors.Is(err, seal.ErrSourceUnavailable) || !strings.Contains(err.Error(), scheme) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want ErrSourceUnavailable with the scheme", scheme, err)
		}
	}
}
