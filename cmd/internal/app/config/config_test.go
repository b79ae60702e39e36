package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

// canary stands where secrets stand: no message may ever hold it.
const canary = "CANARY"

// options are those of a user with a home folder and no environment.
func options(home string, env map[string]string) config.Options {
	return config.Options{
		Home: home,
		Env:  func(name string) string { return env[name] },
		Providers: map[string]config.ProviderRule{
			"google":     {Required: []string{"client_secret"}, Forbidden: []string{"issuer", "api_hosts", "token", "tenant"}},
			"microsoft":  {Forbidden: []string{"issuer", "api_hosts", "token"}},
			"slack":      {Forbidden: []string{"issuer", "api_hosts", "tenant"}},
			"github":     {Forbidden: []string{"issuer", "api_hosts", "token", "tenant"}},
			"salesforce": {Forbidden: []string{"issuer", "api_hosts", "token", "tenant"}},
			"oidc":       {Required: []string{"issuer", "api_hosts"}, Forbidden: []string{"token", "tenant"}},
			"oauth2":     {Required: []string{"endpoints.authorization", "endpoints.token", "api_hosts"}, Forbidden: []string{"issuer", "token", "tenant"}},
		},
		Tools: func() []string {
			return []string{"calendar_list_events", "chat_post_message", "crm_query", "documents_read", "documents_search"}
		},
	}
}

// references compares secret references by what they print.
func references() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b config.SecretRef) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b config.KeySource) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b config.Database) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b config.Command) bool { return a.Line() == b.Line() }),
	}
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("/etc/grantry/grantry.yaml", []byte(text), options("/home/ann", nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return data
}

// folder is a temporary folder that only we can write, whatever the umask.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.Chmod(dir, 0o700))
	return dir
}

// configFolder is where a user's configuration lies on this system, and the
// environment that says so.
func configFolder(home string) (dir string, env map[string]string) {
	dir = filepath.Join(home, "conf")
	env = map[string]string{"XDG_CONFIG_HOME": dir, "AppData": dir, "LocalAppData": dir}
	if runtime.GOOS == "darwin" {
		dir = filepath.Join(home, "Library", "Application Support")
	}
	return filepath.Join(dir, "grantry"), env
}

// write makes a file with exactly this mode, and the folders above it.
func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o700))
	must(t, os.WriteFile(name, []byte(content), 0o600))
	must(t, os.Chmod(name, mode))
	return name
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
