package tools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// MaxResult is how many bytes a result may have, structured or as text: 256 KiB
// (what a model can be handed at once).
const MaxResult = 256 << 10

// room is what a result holds besides its list: the braces, a cursor, a total.
const room = 8 << 10

// Result is what a tool answered. Both say the same: Text is Structured as a string,
// for clients that do not read structured results.
type Result struct {
	Structured json.RawMessage // conforms to [Tool.Output]
	Text       string
	Summary    string // one line for the person who looks back (see [Summarize]), "" = none. No part of the answer
}

// newResult encodes what a handler answered.
func newResult[Out any](vendor string, out Out, summary string) (*Result, error) {
	data, err := encode(out)
	if err != nil {
		return nil, fmt.Errorf("encoding result: %w", err)
	}
	if len(data) > MaxResult {
		return nil, &APIError{Provider: vendor, Reason: "answered more than a result can hold; ask for less"}
	}
	return &Result{Structured: data, Text: string(data), Summary: summary}, nil
}

// Fit is how many of items, from the first, a result can hold. A handler that
// leaves some out gives a cursor that goes on there. It is at least 1 when there
// are items: whoever makes an item keeps it under [MaxItem].
func Fit[T any](items []T) int {
	size := room
	for i, item := range items {
		data, err := encode(item)
		size += len(data) + 1
		if i > 0 && (err != nil || size > MaxResult) {
			return i
		}
	}
	return len(items)
}

// MaxItem is how many bytes of JSON one item of a list may have, so that a page
// always holds at least one.
const MaxItem = MaxResult - room

// Clip shortens s to at most size bytes of its beginning, never within a
// character, and says on a line of its own how much is not shown. A short s
// comes back as it is.
func Clip(s string, size int) string {
	if len(s) <= size {
		return s
	}
	head := Head(s, size)
	return head + "\n" + CutLine(int64(len(s)-len(head)), int64(len(s)))
}

// Head is the first size bytes of s, less if the cut would split a character.
func Head(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}

// CutLine says what was left out: "[cut: 1.8 MiB of 2.0 MiB not shown]". Both are bytes.
func CutLine(hidden, total int64) string {
	return fmt.Sprintf("[cut: %s of %s not shown]", FormatSize(hidden), FormatSize(total))
}

// FormatSize is n bytes in words: "512 bytes", "12.0 KiB", "1.8 MiB".
func FormatSize(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// EncodedSize is how many bytes s takes as a JSON string.
func EncodedSize(s string) int {
	data, err := encode(s)
	if err != nil {
		return len(s)
	}
	return len(data)
}

// encode is JSON without the escapes that are meant for HTML.
func encode[T any](v T) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func mustEncode[T any](v T) json.RawMessage {
	data, err := encode(v)
	if err != nil {
		panic(fmt.Sprintf("tools: encoding: %v", err))
	}
	return data
}
