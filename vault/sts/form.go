package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
)

const maxRequest = 64 << 10 // bytes

// ReadForm reads the form of a request to the token endpoint, or JSON as one; never the query, which ends up in logs. Its errors are for the client.
func ReadForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, errors.New("the request cannot be read, or is larger than 64 KiB")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errors.New("the form cannot be read")
		}
		return form, nil
	case err == nil && kind == "application/json":
		return formOfJSON(body)
	}
	return nil, errors.New("Content-Type must be application/x-www-form-urlencoded or application/json")
}

// formOfJSON takes an object of strings, numbers and lists of strings. A key that is there twice is refused.
func formOfJSON(body []byte) (url.Values, error) {
	bad := errors.New("the JSON must be one object of strings and lists of strings, each name once")
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad
	}
	form := url.Values{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		if err != nil || !ok || form.Has(key) {
			return nil, bad
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, bad
		}
		if form[key], ok = formValues(raw); !ok {
			return nil, bad
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, bad
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad
	}
	return form, nil
}

func formValues(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, string(raw) != "null"
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return []string{n.String()}, true
	}
	var list []string
	return list, json.Unmarshal(raw, &list) == nil
}
