package accounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"unicode/utf8"
)

const maxBody = 64 << 10

// body is the JSON object of a request, read field by field. Names count as they
// are, each once: encoding/json would fold their case and take the last of two.
type body struct {
	fields map[string]json.RawMessage
	wrong  []invalid
}

func readBody(r *http.Request) (*body, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refusal(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the request as application/json.")
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "invalid_body", "The body cannot be read, or is larger than 64 KiB.")
	}
	fields, err := object(raw)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "invalid_body", "The body must be one JSON object in UTF-8, with each name once.")
	}
	return &body{fields: fields}, nil
}

var errObject = errors.New("not one JSON object")

func object(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !utf8.Valid(raw) {
		return nil, errObject
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if _, twice := out[name]; err != nil || !ok || twice {
			return nil, errObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errObject
		}
		out[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errObject
	}
	return out, nil
}

func (b *body) bad(name, detail string) {
	b.wrong = append(b.wrong, invalid{Detail: detail, Field: name, Pointer: "/" + name})
}

// take removes a field, so that what is left at the end is what nobody knows.
func (b *body) take(name string) (json.RawMessage, bool) {
	raw, ok := b.fields[name]
	delete(b.fields, name)
	return raw, ok
}

// text is a string of that many characters; "" where it is not there.
func (b *body) text(name string, least, most int) string {
	raw, ok := b.take(name)
	if !ok {
		return ""
	}
	s, ok := str(raw)
	if n := utf8.RuneCountInString(s); !ok || n < least || n > most {
		b.bad(name, fmt.Sprintf("must be a string of %d to %d characters", least, most))
		return ""
	}
	return s
}

// must is text that has to be there.
func (b *body) must(name string, most int) string {
	if _, ok := b.fields[name]; !ok {
		b.bad(name, "is required")
		return ""
	}
	return b.text(name, 1, most)
}

// list is a list of that many different strings, each of 1 to size characters; nil where it is not there.
func (b *body) list(name string, most, size int) []string {
	raw, ok := b.take(name)
	if !ok {
		return nil
	}
	var each []json.RawMessage
	var out []string
	err := json.Unmarshal(raw, &each)
	for _, one := range each {
		s, ok := str(one)
		if n := utf8.RuneCountInString(s); !ok || n < 1 || n > size || slices.Contains(out, s) {
			err = errObject
		}
		out = append(out, s)
	}
	if err != nil || len(out) == 0 || len(out) > most {
		b.bad(name, fmt.Sprintf("must be a list of 1 to %d different strings, each of 1 to %d characters", most, size))
		return nil
	}
	return out
}

// str is a JSON string; null is none.
func str(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// end answers what was wrong, with the fields that nobody asked for.
func (b *body) end() error {
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		b.bad(name, "is not known here")
	}
	if len(b.wrong) > 0 {
		return badRequest(b.wrong...)
	}
	return nil
}
