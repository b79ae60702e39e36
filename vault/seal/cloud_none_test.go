//go:build !cloudkms

package seal_test

import (
	"errors"
	"os/exec"
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

// TestCloudStaysOut keeps the clients of four clouds out of the ordinary build.
func TestCloudStaysOut(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/zalando/go-keyring\n") {
		t.Error("the list of packages is another one")
	}
	for pkg := range strings.Lines(string(out)) {
		for _, cloud := range []string{"gocloud.dev", "cloud.google.com", "github.com/aws", "github.com/Azure", "github.com/hashicorp"} {
			if strings.HasPrefix(pkg, cloud) {
				t.Errorf("the package needs %s without the tag cloudkms", strings.TrimSpace(pkg))
			}
		}
	}
}
