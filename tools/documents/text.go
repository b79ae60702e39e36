package documents

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/grantry/grantry/tools"
)

// maxText is how many bytes of a document's text are answered.
const maxText = 200 << 10

// maxCounted is how far an export is read on to say how long it is.
const maxCounted = 8 << 20

// readText reads at most maxText bytes of r and cuts them to what a result can
// hold. total is how long all of it is, in bytes; 0 = count it.
func readText(r io.Reader, total int64) (text string, truncated bool, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxText+4))
	if err != nil {
		return "", false, err
	}
	seen := int64(len(data))
	if seen > maxText && total == 0 {
		rest, _ := io.Copy(io.Discard, io.LimitReader(r, maxCounted)) // what is beyond is not counted
		seen += rest
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // exports begin with a byte order mark
	if bytes.IndexByte(data, 0) >= 0 {
		return "", false, errNotText("application/octet-stream")
	}
	text, truncated = shorten(strings.ToValidUTF8(string(data), "\uFFFD"), max(total, seen))
	return text, truncated, nil
}

// shorten cuts text to maxText bytes, and to what fits into a result when it is
// written as JSON, where a quote takes two bytes.
func shorten(text string, total int64) (string, bool) {
	head := tools.Head(text, maxText)
	for tools.EncodedSize(head) > tools.MaxItem {
		head = tools.Head(head, len(head)*9/10)
	}
	if len(head) == len(text) {
		return text, false
	}
	return head + "\n\n" + tools.CutLine(max(total-int64(len(head)), 1), total), true
}

// errNotText says that a document has no text that we could read.
func errNotText(mimeType string) error {
	kind := "not a text file"
	if isMIMEType(mimeType) {
		kind = fmt.Sprintf("not a text file (%s)", mimeType)
	}
	return &tools.InputError{Path: "id", Reason: "is of a document that is " + kind + "; Google Docs, Sheets, Slides and text files can be read"}
}

func isMIMEType(s string) bool {
	a, b, ok := strings.Cut(s, "/")
	plain := func(s string) bool {
		return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.+-") == ""
	}
	return ok && len(s) <= 100 && plain(a) && plain(b)
}

// isText says whether a file of this type is text.
func isText(mimeType string) bool {
	base, _, _ := strings.Cut(mimeType, ";")
	switch base = strings.TrimSpace(base); base {
	case "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
		"application/javascript", "application/x-javascript", "application/typescript", "application/sql",
		"application/x-sh", "application/x-python", "application/csv", "application/x-ndjson":
		return true
	}
	return strings.HasPrefix(base, "text/") && base != "text/rtf" || strings.HasSuffix(base, "+json") || strings.HasSuffix(base, "+xml") && !strings.HasPrefix(base, "image/")
}
