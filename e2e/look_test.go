package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The two widths at which pages are looked at: a desktop and a phone.
const wide, narrow = 1280, 390

// axe is axe-core's verdict on one page: what it finds serious or critical.
const axe = `axe.run(document, {preload: false, resultTypes: ['violations'],
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => r.violations
  .filter(v => v.impact === 'serious' || v.impact === 'critical')
  .flatMap(v => v.nodes.map(n => v.id + ' (' + v.impact + '): ' + n.target + '\n' + n.failureSummary)))`

var axeSource = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile(filepath.Join("counterparties", "node_modules", "axe-core", "axe.min.js"))
	return string(source), err
})

// look lets axe-core judge the page that is open, wide and light as well as
// narrow and dark, and wants no serious finding, nothing that scrolls to the
// side, and no script of ours. With GRANTRY_PICTURES it writes pictures there.
func (c *chrome) look(name string) {
	c.t.Helper()
	source, err := axeSource()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, as := range []struct {
		width  int64
		scheme string
	}{{wide, "light"}, {narrow, "dark"}, {wide, "dark"}, {narrow, "light"}} {
		judged := (as.width == wide) == (as.scheme == "light")
		folder := os.Getenv("GRANTRY_PICTURES")
		if !judged && folder == "" {
			continue
		}
		c.show(as.width, as.scheme)
		if folder != "" {
			c.screenshot(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, as.width, as.scheme)))
		}
		if judged {
			c.judge(source, fmt.Sprintf("%s, %d px, %s", name, as.width, as.scheme))
		}
	}
	c.show(wide, "light")
}

// show sets the width of the window and the colours that the person likes.
func (c *chrome) show(width int64, scheme string) {
	c.t.Helper()
	do(c, "choosing the window", chromedp.Steps(chromedp.EmulateViewport(width, 900),
		func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return chromedp.Void{}, err
		}))
}

func (c *chrome) judge(source, what string) {
	c.t.Helper()
	if n := do(c, "counting scripts", chromedp.Evaluate[int]("document.scripts.length")); n != 0 {
		c.t.Errorf("%s: the page has %d scripts", what, n)
	}
	if over := do(c, "measuring", chromedp.Evaluate[int]("document.documentElement.scrollWidth - innerWidth")); over > 0 {
		c.t.Errorf("%s: the page is %d px too wide", what, over)
	}
	// The page's policy forbids script; the browser's own debugger is not the page.
	do(c, "loading axe-core", chromedp.Evaluate[chromedp.Void](source))
	found := do(c, "asking axe-core", chromedp.Evaluate[[]string](axe, chromedp.EvalAwaitPromise))
	if len(found) > 0 {
		c.t.Errorf("%s: axe-core finds\n%s", what, strings.Join(found, "\n"))
	}
}
