package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chrome is a real browser, for what the form browser cannot prove: cookies'
// SameSite, form-action, script, and how a page looks.
type chrome struct {
	t   *testing.T
	ctx context.Context
}

// newChrome starts Chromium with an empty profile: $GRANTRY_CHROMIUM, else
// the one on the PATH.
func newChrome(t *testing.T, extra ...chromedp.ExecAllocatorOption) *chrome {
	t.Helper()
	path := chromium(t)
	options := append(append(chromedp.DefaultExecAllocatorOptions[:], extra...),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(folder(t)),
		chromedp.WindowSize(1100, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) //nolint:errcheck // waits for the browser to end; it may be gone
		closeTab()
		stop()
	})
	// The first run starts the browser, which ends with that run's context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return &chrome{t: t, ctx: ctx}
}

// other is a browser of somebody else, in the same program: it shares nothing
// with c, and ends with t.
func (c *chrome) other(t *testing.T) *chrome {
	t.Helper()
	ctx, end := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(wide, 900)); err != nil {
		t.Fatalf("opening another browser: %v", err)
	}
	return &chrome{t: t, ctx: ctx}
}

func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("GRANTRY_CHROMIUM"); path != "" {
		return path
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path := filepath.Join(dir, name); executable(path) {
				return path
			}
		}
	}
	t.Fatal("no Chromium on the PATH: install the package `chromium`, or set GRANTRY_CHROMIUM to a Chromium or Chrome binary")
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// do runs one action against the open page, within the test's patience.
func do[T any](c *chrome, what string, action chromedp.Action[T]) T {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	return out
}

// open goes to a URL.
func (c *chrome) open(link string) {
	c.t.Helper()
	do(c, "opening "+link, chromedp.Navigate(link))
}

// click presses the first button, else the first link, that contains text,
// once it is there.
func (c *chrome) click(text string) {
	c.t.Helper()
	quoted := fmt.Sprintf("%q", text)
	path := "//button[contains(normalize-space(.), " + quoted + ")]" +
		" | //input[@type='submit' and contains(@value, " + quoted + ")]" +
		" | //a[contains(normalize-space(.), " + quoted + ")]"
	do(c, "clicking "+quoted, chromedp.Click(path, chromedp.NodeVisible))
}

// fill types text into the field of that name.
func (c *chrome) fill(name, text string) {
	c.t.Helper()
	do(c, "filling in "+name, chromedp.SendKeys(chromedp.CSS(fmt.Sprintf("[name=%q]", name)), text))
}

// text is what the page shows now.
func (c *chrome) text() string {
	c.t.Helper()
	text := do(c, "reading the page", chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	return strings.Join(strings.Fields(text), " ")
}

// url is where the browser is now.
func (c *chrome) url() string {
	c.t.Helper()
	return do(c, "reading the address", chromedp.Location())
}

// waitFor waits until the page shows text; pages may come and go meanwhile.
func (c *chrome) waitFor(text string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if strings.Contains(c.text(), text) {
			return
		}
	}
	c.t.Fatalf("%s never showed %q:\n%s", c.url(), text, c.text())
}

// press answers our consent page: allow, once, decline, confirm or refuse.
func (c *chrome) press(answer string) {
	c.t.Helper()
	do(c, "pressing "+answer, chromedp.Click(chromedp.CSS(fmt.Sprintf("button[name=answer][value=%q]", answer)), chromedp.NodeVisible))
}

// status is what the server answered for the page that is open.
func (c *chrome) status() int {
	c.t.Helper()
	return do(c, "reading the status", chromedp.Evaluate[int]("performance.getEntriesByType('navigation')[0].responseStatus"))
}

// expect waits until the page shows text, and wants it to be answered so.
func (c *chrome) expect(status int, text string) {
	c.t.Helper()
	c.waitFor(text)
	if got := c.status(); got != status {
		c.t.Errorf("%s answered %d, want %d:\n%s", c.url(), got, status, c.text())
	}
}

// screenshot writes the whole page as a PNG.
func (c *chrome) screenshot(path string) {
	c.t.Helper()
	png := do(c, "taking a picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(path, png, 0o644); err != nil {
		c.t.Fatal(err)
	}
}
