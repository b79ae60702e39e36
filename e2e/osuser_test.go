//go:build linux

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestR02AnotherUserOfTheMachine opens a stdio link with the Chromium of a
// second user of this machine: refused, no vendor contacted, audited. The
// owner's own browser may still use it.
func TestR02AnotherUserOfTheMachine(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}))
	link := c.call(t, "calendar_list_events", map[string]any{}).link(t)
	page := newOSUser(t).browse(t, link)
	if !strings.Contains(page, "This vault belongs to another user of this machine") || strings.Contains(page, "<form") {
		t.Errorf("another user of the machine was shown\n%s", page)
	}
	if n := len(v.google.exchanges("")); n != 0 {
		t.Errorf("the vendor was asked %d times", n)
	}
	out, errs, code := h.run(t, "audit", "export")
	if code != 0 || !strings.Contains(out, `"reason":"peer"`) {
		t.Errorf("the audit (%d, %s) does not say that a browser was refused:\n%s", code, errs, out)
	}
	newBrowser(t).consent(link, "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
}

// osUser is a user of this machine that a test has made.
type osUser struct {
	uid, gid uint32
	home     string
}

// newOSUser makes one; it goes at the end of the test.
func newOSUser(t *testing.T) *osUser {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes a second user with useradd: run the end-to-end tests as root, in a container if need be")
	}
	name := "grantry-e2e-" + strconv.Itoa(os.Getpid())
	root(t, "useradd", "--system", "--no-create-home", "--shell", "/bin/false", name)
	t.Cleanup(func() { exec.Command("userdel", name).Run() }) //nolint:errcheck // the user has no home and no password
	id := func(flag string) uint32 {
		n, err := strconv.ParseUint(strings.TrimSpace(root(t, "id", flag, name)), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(n)
	}
	// Not t.TempDir: nobody else may pass through the folder above it.
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := &osUser{uid: id("-u"), gid: id("-g"), home: dir}
	if err := os.Chown(dir, int(u.uid), int(u.gid)); err != nil {
		t.Fatal(err)
	}
	return u
}

// root runs a command of the system and answers what it prints.
func root(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// browse opens a link in a Chromium of this user and answers the page.
func (u *osUser) browse(t *testing.T, link string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), chromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--user-data-dir="+filepath.Join(u.home, "profile"), "--dump-dom", link)
	cmd.Dir, cmd.Env = u.home, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.home, "TMPDIR=" + u.home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.gid}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the other user's browser: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// TestSignInByCode takes the table of sockets away from grantry, so that it
// cannot tell whose browser it serves. The browser types the code that
// `grantry signin` prints, and goes on where it was.
func TestSignInByCode(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}).blind(t))
	link := c.call(t, "calendar_list_events", map[string]any{}).link(t)
	person := newChrome(t).other(t)
	person.open(link)
	person.expect(http.StatusOK, "Is this your browser?")
	person.look("code")
	person.fill("code", "BBBB-BBBB")
	person.click("Sign in")
	person.waitFor("That code is wrong")
	person.look("code-wrong")
	out, errs, code := h.run(t, "signin")
	m := signInCode.FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("signin ended with %d: %s%s", code, out, errs)
	}
	do(person, "emptying the field", chromedp.Clear(chromedp.CSS("[name=code]")))
	person.fill("code", strings.ToLower(m[1]))
	person.click("Sign in")
	person.expect(http.StatusOK, "wants to read your Google Calendar")
	person.press("allow")
	person.click("alice@example.com")
	person.expect(http.StatusOK, "is connected")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))

	other := person.other(t)
	other.open(v.base + "/connections")
	other.waitFor("Is this your browser?")
	other.fill("code", m[1])
	other.click("Sign in")
	other.waitFor("That code is wrong") // it was used
}

// blind starts the same program where /proc names no sockets: in a mount
// namespace of its own, with the process's own folder as all that is left.
func (c clientConfig) blind(t *testing.T) clientConfig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test hides /proc/net in a mount namespace: run the end-to-end tests as root, in a container if need be")
	}
	proc := t.TempDir()
	script := fmt.Sprintf(`mount --bind /proc %[1]s && mount -t tmpfs none /proc && ln -s %[1]s/self /proc/self && exec "$0" "$@"`, proc)
	c.Args = append([]string{"--mount", "sh", "-c", script, c.Command}, c.Args...)
	c.Command = "unshare"
	return c
}
