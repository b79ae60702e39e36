package house_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// reveals are the functions that may take a secret out of its wrapper, tests
// aside. Each puts it into the one request or the one sealed row that it is
// for. A new line here needs a reason in its commit.
var reveals = []string{
	"consent/capped.go cappedClient.exchange",
	"vault/client/client.go Client.prove",
	"vault/client/exchange.go Source.exchange",
	"vault/client/transport.go transport.send",
	"vault/connect.go Vault.giveBack",
	"vault/emergency.go Vault.rescued",
	"vault/keep.go Vault.keepAlternate",
	"vault/keep.go Vault.refreshed",
	"vault/keep.go Vault.rotated",
	"vault/narrow.go Vault.keepNarrowed",
	"vault/provider/authorize.go Connection.AuthCodeURL",
	"vault/provider/authorize.go Connection.options",
	"vault/provider/identity.go Connection.ask",
	"vault/provider/idtoken.go Connection.verify",
	"vault/provider/redeem.go Connection.Redeem",
	"vault/provider/redeem.go Connection.refresh",
	"vault/provider/redeem.go Connection.post",
	"vault/provider/revoke.go Connection.Revoke",
	"vault/provider/revoke.go Connection.revokeBearer",
	"vault/provider/revoke.go Connection.revokeGitHub",
	"vault/provider/revoke.go Connection.revokeToken",
	"vault/provider/secret.go Secret.Basic",
	"vault/provider/secret.go Secret.Equal",
	"vault/provider/transport.go Transport.prepare",
	"vault/recheck.go Vault.unchecked",
	"vault/refusal.go Vault.keepUnread",
	"vault/sqlstore/postgres_open.go PostgresConfig.server",
	"vault/sts/answer.go answerOf",
	"vault/sts/proxy_answer.go Server.head",
	"vault/sts/proxy_answer.go stream",
	"vault/sts/workload.go newWorkload",
}

// TestReveal holds that list (R78).
func TestReveal(t *testing.T) {
	t.Parallel()
	var found []string
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		for _, d := range s.File.Decls {
			if !revealing(d) {
				continue
			}
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				t.Errorf("%s:%d: reveals a secret outside of a function", s.Path, line(d.Pos()))
				continue
			}
			found = append(found, s.Path+" "+strings.TrimPrefix(receiver(f)+"."+f.Name.Name, "."))
		}
	}
	for _, name := range found {
		if !slices.Contains(reveals, name) {
			t.Errorf("%s reveals a secret and is not on the list", name)
		}
	}
	for _, name := range reveals {
		if !slices.Contains(found, name) {
			t.Errorf("%s is on the list and reveals nothing", name)
		}
	}
}

// revealing says whether Reveal is named below n, called or handed on as a method value.
func revealing(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && s.Sel.Name == "Reveal"
		return true
	})
	return found
}

// TestRevealStaysInside: tools, pages' words and MCP never see a secret.
func TestRevealStaysInside(t *testing.T) {
	t.Parallel()
	for _, name := range reveals {
		for _, never := range []string{"mcp/", "tools/", "cmd/"} {
			if strings.HasPrefix(name, never) {
				t.Errorf("%s: nothing below %s may reveal a secret", name, never)
			}
		}
	}
}
