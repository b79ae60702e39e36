package tools

import (
	"strconv"
	"strings"
	"unicode"
)

// maxSummary is how many characters a summary may have.
const maxSummary = 120

// Change is one field of what an update touches, in the vendor's values.
type Change struct {
	Field        string
	Was, Becomes string // "" = empty
}

// summarizer is what [Summarize] answers.
type summarizer[In, Out any] func(in In, out Out) string

// Summarize says in one line what a call did, for the person who looks back at
// what was done in their name: "to #sales", "7 events". It goes on from the tool's title.
func Summarize[In, Out any](line func(in In, out Out) string) Part[In, Out] {
	return summarizer[In, Out](line)
}

func (s summarizer[In, Out]) join(d *definition[In, Out]) { d.summarize = s }

func (d definition[In, Out]) summary(in In, out Out) string {
	if d.summarize == nil {
		return ""
	}
	return oneLine(d.summarize(in, out))
}

// Count is a number of things in words: "1 event", "7 events", "50 events, and more" where there is a next cursor.
func Count(n int, one, many, next string) string {
	words := strconv.Itoa(n) + " " + many
	if n == 1 {
		words = "1 " + one
	}
	if next != "" {
		words += ", and more"
	}
	return words
}

// oneLine is s without what a line or a reader's eye cannot hold: control and format characters, and more than maxSummary characters.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > maxSummary {
		s = string(r[:maxSummary-1]) + "…"
	}
	return s
}
