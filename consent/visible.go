package consent

import (
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is text from outside, all of it, in a <bdi> of its own: what nobody
// could see, or what turns or hides its neighbours, stands there as a mark
// (⟦U+202E⟧). A line break is a line break. It is for what a person approves;
// names and labels go through shown.
func visible(s string) text {
	var b strings.Builder
	b.WriteString(`<bdi dir="auto">`)
	from := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if mark := markOf(r, size, s[i]); mark != "" {
			b.WriteString(template.HTMLEscapeString(s[from:i]))
			b.WriteString(`<span class="odd">⟦` + mark + `⟧</span>`)
			from = i + size
		}
		i += size
	}
	b.WriteString(template.HTMLEscapeString(s[from:]))
	b.WriteString("</bdi>")
	return text(b.String())
}

// odd says whether visible has put a mark into a text.
func odd(t text) bool { return strings.Contains(string(t), `<span class="odd">`) }

// markOf names a character that does not show by itself; "" for one that does.
func markOf(r rune, size int, first byte) string {
	switch {
	case r == '\n':
		return ""
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("0x%02X", first)
	case r == utf8.RuneError, unicode.IsControl(r),
		unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return fmt.Sprintf("U+%04X", r)
	}
	return ""
}
