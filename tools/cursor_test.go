package tools_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
)

// pagedTool answers its vendor's pages, which hold more than a result does.
func pagedTool(name string, pages [][]string) tools.Tool {
	return tools.Define(tools.Read, name, "List", "Lists.",
		tools.Via(googleNeed(), func(_ context.Context, c *tools.Client, in arguments) (answer, error) {
			at, err := tools.ResumePage(c, in.Cursor)
			if err != nil {
				return answer{}, err
			}
			n, next := 0, ""
			if at.Token != "" {
				if _, err := fmt.Sscan(at.Token, &n); err != nil {
					return answer{}, err
				}
			}
			if n+1 < len(pages) {
				next = fmt.Sprint(n + 1)
			}
			kept, goOn, more := tools.Cut(at, pages[n], next)
			out := answer{Items: kept}
			if more {
				out.Next, err = tools.NextCursor(c, goOn)
			}
			return out, err
		}))
}

func TestPagesToTheEndWithoutDoubles(t *testing.T) {
	t.Parallel()
	var pages [][]string
	var want []string
	for p := range 3 {
		var page []string
		for i := range 40 {
			page = append(page, fmt.Sprintf("%d-%d %s", p, i, strings.Repeat("x", 20<<10)))
		}
		pages, want = append(pages, page), append(want, page...)
	}
	tool := pagedTool("things_list", pages)
	src := tooltest.NewSource(t, "google", http.NotFoundHandler())
	var got []string
	calls := 0
	for cursor := ""; calls == 0 || cursor != ""; calls++ {
		args := `{"query":"ab"}`
		if cursor != "" {
			args = fmt.Sprintf(`{"query":"ab","cursor":%q}`, cursor)
		}
		out := tooltest.Call[answer](t, tool, src, args)
		got, cursor = append(got, out.Items...), out.Next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items differ after %d calls", calls)
	}
	if calls <= len(pages) {
		t.Errorf("only %d calls: nothing was cut", calls)
	}
}

func TestCursorsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	pages := [][]string{{"a"}, {"b"}}
	src := tooltest.NewSource(t, "google", http.NotFoundHandler())
	tool := pagedTool("things_list", pages)
	cursor := tooltest.Call[answer](t, tool, src, `{"query":"ab","account":"one"}`).Next
	if len(cursor) > tools.MaxCursor {
		t.Errorf("a cursor of %d characters", len(cursor))
	}
	with := func(query, cursor string) string { return fmt.Sprintf(`{"query":%q,"cursor":%q}`, query, cursor) }
	if got := tooltest.Call[answer](t, tool, src, with("ab", cursor)); got.Items[0] != "b" || got.Next != "" {
		t.Errorf("got %+v", got)
	}

	other := tooltest.NewSource(t, "google", http.NotFoundHandler())
	other.Bear.Grant = "grant-2"
	twisted := base64.RawURLEncoding.EncodeToString([]byte(`{"t":"things_list","s":5}`))
	for name, c := range map[string]struct {
		tool tools.Tool
		src  tools.Source
		args string
		says string
	}{
		"other query":     {tool, src, with("cd", cursor), "belongs to other arguments"},
		"other limit":     {tool, src, fmt.Sprintf(`{"query":"ab","limit":3,"cursor":%q}`, cursor), "belongs to other arguments"},
		"other account":   {tool, other, with("ab", cursor), "belongs to another account"},
		"other tool":      {pagedTool("things_find", pages), src, with("ab", cursor), "belongs to another tool"},
		"not base64":      {tool, src, with("ab", "%%%"), "must be a next_cursor"},
		"cut":             {tool, src, with("ab", cursor[:len(cursor)/2]), "must be a next_cursor"},
		"not ours":        {tool, src, with("ab", "aGVsbG8"), "must be a next_cursor"},
		"state of a sort": {tool, src, with("ab", twisted), "must be a next_cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tooltest.Fails[*tools.InputError](t, c.tool, c.src, c.args)
			if e.Path != "cursor" || !strings.Contains(e.Reason, c.says) {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestCutGivesEveryItemOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, tools.MaxItem-10), 0, 12).Draw(t, "sizes")
		items := make([]string, len(sizes))
		for i, n := range sizes {
			items[i] = strings.Repeat("x", n)
		}
		at, seen := tools.Page{Token: "p"}, 0
		for {
			kept, next, more := tools.Cut(at, items, "")
			seen += len(kept)
			if !more {
				break
			}
			if len(kept) == 0 || next.Token != "p" || next.Skip != seen {
				t.Fatalf("no way forward: kept %d, next %+v", len(kept), next)
			}
			at = next
		}
		if seen != len(items) {
			t.Fatalf("%d of %d items", seen, len(items))
		}
	})
}

func TestHeadNeverSplitsACharacter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		size := rapid.IntRange(0, len(s)+3).Draw(t, "size")
		head := tools.Head(s, size)
		if !strings.HasPrefix(s, head) || len(head) > size || len(s) > size && size-len(head) > 3 {
			t.Fatalf("%q cut to %d: %q", s, size, head)
		}
		if strings.ToValidUTF8(head, "") != head {
			t.Fatalf("%q is not UTF-8", head)
		}
	})
}

func TestSizesInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 200 << 10: "200.0 KiB", 2 << 20: "2.0 MiB"} {
		if got := tools.FormatSize(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := tools.Clip("abcdef", 2); got != "ab\n[cut: 4 bytes of 6 bytes not shown]" {
		t.Error(got)
	}
}
