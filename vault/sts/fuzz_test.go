package sts_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/sts"
)

// FuzzExchange: whatever form and credentials come, the answer is an OAuth error, and never a token for who is none.
func FuzzExchange(f *testing.F) {
	w := newWorld(f)
	for _, form := range []string{
		"grant_type=" + url.QueryEscape(sts.GrantType) + "&subject_token=x&subject_token_type=" + url.QueryEscape(access) + "&connection=files&scope=a+b&min_ttl=10",
		"grant_type=" + url.QueryEscape(sts.Auth0GrantType) + "&audience=undefined&resource=https://a&resource=%23&client_assertion=e30.e30.e30&client_assertion_type=x",
		"client_id=nightly&client_secret=%00&login_hint=%0a&account=%ff",
	} {
		f.Add(form, "Basic "+base64.StdEncoding.EncodeToString([]byte("nightly:guess")))
		f.Add(form, "")
	}
	f.Fuzz(func(t *testing.T, form, authorization string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, publicURL+sts.TokenPath, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		out := httptest.NewRecorder()
		w.sts.Exchange(out, r, values)
		var body struct {
			Error, Error_description, Access_token string //nolint:revive // the wire's names
		}
		if err := json.Unmarshal(out.Body.Bytes(), &body); err != nil || out.Code < 400 || out.Code >= 500 || body.Error == "" || body.Access_token != "" {
			t.Errorf("%d %s", out.Code, out.Body)
		}
	})
}

// FuzzReadForm: a JSON object is read as the form that it says, or not at all, and no name is there by two values that the object did not list.
func FuzzReadForm(f *testing.F) {
	for _, body := range []string{
		`{"grant_type":"x","login_hint":"a","resource":["a","b"],"min_ttl":10}`, `{"a":"b","a":"c"}`, `{"a":null}`, `{"a":{"b":"c"}}`, `{"a":"b"} {}`, `[1]`, `{"A":"b","a":"c"}`, `{"a":["b",1]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, sts.TokenPath+"?subject_token=from-the-query", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		form, err := sts.ReadForm(httptest.NewRecorder(), r)
		var said map[string]any
		d := json.NewDecoder(strings.NewReader(body))
		d.UseNumber()
		if bad := d.Decode(&said); err == nil && bad != nil {
			t.Fatalf("%q was read as %v", body, form)
		}
		if err != nil {
			return
		}
		for name, values := range form {
			one, isString := said[name].(string)
			list, isList := said[name].([]any)
			switch _, isNumber := said[name].(json.Number); {
			case isString && len(values) == 1 && values[0] == one, isNumber && len(values) == 1, isList && len(list) == len(values):
			default:
				t.Errorf("%q: %s was read as %q", body, name, values)
			}
		}
	})
}
