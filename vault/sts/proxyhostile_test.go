package sts_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/sts"
)

// Where a hostile request has its trick.
const inpath, inquery, inlist, inheaders = "the path", "the query", "the list", "the headers"

// hostile are requests, line by line as they go over the wire, and how they are answered.
var hostile = []struct {
	why, line string
	headers   []string
	status    int
}{
	{inpath, "GET /proxy/files/files/../secret", nil, 400},
	{inpath, "GET /proxy/files/files/./one", nil, 400},
	{inpath, "GET /proxy/files/files/..", nil, 400},
	{inpath, "GET /proxy/files/files/%2e%2e/secret", nil, 400},
	{inpath, "GET /proxy/files/files/.%2E/secret", nil, 400},
	{inpath, "GET /proxy/files/files/%252e%252e/secret", nil, 400},
	{inpath, "GET /proxy/files/files/.../one", nil, 400},
	{inpath, "GET /proxy/files/files/..%20/one", nil, 400},
	{inpath, "GET /proxy/files/files//one", nil, 400},
	{inpath, "GET /proxy/files//files/one", nil, 400},
	{inpath, "GET /proxy/files/files/a%2fb", nil, 400},
	{inpath, "GET /proxy/files/files/a%2Fb", nil, 400},
	{inpath, "GET /proxy/files/files/a%5cb", nil, 400},
	{inpath, `GET /proxy/files/files/a\b`, nil, 400},
	{inpath, "GET /proxy/files/files/a%00b", nil, 400},
	{inpath, "GET /proxy/files/files/a%0d%0aHost:%20evil", nil, 400},
	{inpath, "GET /proxy/files/files/a%7fb", nil, 400},
	{inpath, "GET /proxy/files/files/a%c2%85b", nil, 400},
	{inpath, "GET /proxy/files/files/a%25b", nil, 400},
	{inpath, "GET /proxy/files/files/a%3fb", nil, 400},
	{inpath, "GET /proxy/files/files/a%23b", nil, 400},
	{inpath, "GET /proxy/files/files/a;x=1/b", nil, 400},
	{inpath, "GET /proxy/files/files/..;/secret", nil, 400},
	{inpath, "GET /proxy/files/files/a%3bb", nil, 400},
	{inpath, "GET /proxy/files/files/%ff", nil, 400},
	{inpath, "GET /proxy/files/files/%c0%af", nil, 400},
	{inpath, "GET /proxy/files/files/%ef%bc%8e%ef%bc%8e/secret", nil, 400},
	{inpath, "GET /proxy/files/files/a%e2%88%95b", nil, 400},
	{inpath, "GET /proxy/files/files/\xc3\xbc", nil, 400},
	{inpath, "GET /proxy/files/files/<a>", nil, 400},
	{inpath, "GET /proxy/files/files/one#frag", nil, 400},
	{inpath, "GET /proxy/files", nil, 400},
	{inpath, "GET /proxy/", nil, 400},
	{inpath, "GET /proxy//files/one", nil, 400},
	{inpath, "GET /proxy/fi%6ces/files/one", nil, 400},
	{inpath, "GET /proxy/../proxy/files/files/one", nil, 400},
	{inpath, "GET http://vault.example.com/proxy/files/files/one", nil, 400},
	{inpath, "GET /%70roxy/files/files/one", nil, 400},
	{inpath, "GET /proxy/files/files/" + strings.Repeat("a", 5000), nil, 400},
	{inquery, "GET /proxy/files/files/one?a=%0d%0ab", nil, 400},
	{inquery, "GET /proxy/files/files/one?a=%00", nil, 400},
	{inquery, "GET /proxy/files/files/one?a=%zz", nil, 400},
	{inquery, "GET /proxy/files/files/one?_HttpMethod=DELETE", nil, 400},
	{inquery, "GET /proxy/files/files/one?x=1&_method=DELETE", nil, 400},
	{inquery, "GET /proxy/files/files/one?x=1;_method=DELETE", nil, 400},
	{inquery, "GET /proxy/files/files/one?%5fmethod=DELETE", nil, 400},
	{inquery, "GET /proxy/files/files/one?X-HTTP-Method-Override=DELETE", nil, 400},
	{inquery, "GET /proxy/files/files/one?access_token=other", nil, 400},
	{inlist, "GET /proxy/files/secret", nil, 403},
	{inlist, "GET /proxy/files/files", nil, 403},
	{inlist, "GET /proxy/files/files/", nil, 403},
	{inlist, "GET /proxy/files/Files/one", nil, 403},
	{inlist, "GET /proxy/files/filesystem/one", nil, 403},
	{inlist, "GET /proxy/files/", nil, 403},
	{inlist, "PATCH /proxy/files/files/one", nil, 403},
	{inlist, "PUT /proxy/files/files/two", nil, 403},
	{inlist, "PUT /proxy/files/files/one/more", nil, 403},
	{inlist, "get /proxy/files/files/one", nil, 403},
	{inlist, "OPTIONS /proxy/files/files/one", nil, 403},
	{inlist, "TRACE /proxy/files/files/one", nil, 403},
	{inlist, "PROPFIND /proxy/files/files/one", nil, 403},
	{inlist, "GET /proxy/files/x/a/b/y", nil, 403},
	{inlist, "POST /proxy/files/files/batch", nil, 403},
	{inlist, "POST /proxy/files/files/$batch", nil, 403},
	{inlist, "POST /proxy/files/files/%24batch", nil, 403},
	{inlist, "POST /proxy/files/files/$BATCH", nil, 403},
	{inlist, "POST /proxy/files/files/v62.0/composite", nil, 403},
	{inlist, "POST /proxy/files/files/v62.0/composite/batch", nil, 403},
	{inlist, "POST /proxy/files/files/v1:batch", nil, 403},
	{inlist, "POST /proxy/files/files/graphql", nil, 403},
	{inlist, "GET /proxy/files/odd/Batch()", nil, 403},
	{inlist, "POST /proxy/files/files/%ef%bd%82atch", nil, 403},
	{inlist, "POST /proxy/files/files/%c5%bfoap", nil, 403},
	{inheaders, "POST /proxy/files/files/one", []string{"X-HTTP-Method-Override: DELETE"}, 400},
	{inheaders, "POST /proxy/files/files/one", []string{"x-http-method: DELETE"}, 400},
	{inheaders, "POST /proxy/files/files/one", []string{"X-Method-Override: DELETE"}, 400},
	{inheaders, "POST /proxy/files/files/one", []string{"X_HTTP_Method_Override: DELETE"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Connection: Upgrade", "Upgrade: websocket"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Content-Length: 3"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Transfer-Encoding: chunked"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Grantry-Host: evil.example"}, 400},
	{inheaders, "GET /proxy/files/files/one", []string{"Grantry-Host: 127.0.0.1:1"}, 400},
}

// TestProxyHostile: requests that two servers might read in two ways, or that ask for more than they seem to. None gets to the vendor.
func TestProxyHostile(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesAllow })
	token := w.pass()
	for _, c := range hostile {
		r := w.raw(token, c.line, c.headers...)
		if r.status != c.status || r.header.Get("Grantry-Error") == "" && r.header.Get("Content-Type") == "application/json" {
			t.Errorf("%s: %s %q: %s, want %d", c.why, c.line, c.headers, r, c.status)
		}
	}
	if got := w.vendor.requests(); len(got) != 0 {
		t.Fatalf("the vendor saw %+v", got)
	}
	for line, uri := range map[string]string{
		"GET /proxy/files/files/%41b":      "/instance/files/Ab",
		"GET /proxy/files/files/a.b":       "/instance/files/a.b",
		"GET /proxy/files/files/a/":        "/instance/files/a/",
		"GET /proxy/files/x/any/y":         "/instance/x/any/y",
		"GET /proxy/files/files/a@b:c,d":   "/instance/files/a@b:c,d",
		"POST /proxy/files/graph/$batch":   "/instance/graph/$batch",
		"GET /proxy/files/files/one?a=b?c": "/instance/files/one?a=b?c",
	} {
		if r := w.raw(token, line); r.status != http.StatusOK {
			t.Errorf("%s: %s", line, r)
		}
		all := w.vendor.requests()
		if len(all) == 0 || all[len(all)-1].uri != uri {
			t.Errorf("%s: %+v, want %s", line, all, uri)
		}
	}
}

// TestProxyRules: what a rule may look like.
func TestProxyRules(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "GET", "GET ", "GET a", "get /a", "TRACE /a", "* /a", "GET /a/../b", "GET /a//b", "GET /a/b*", "GET /a/*b/c", "GET /a?b", "GET /a%20b", "GET /a;b", "GET  /a", "GET /a\n", `GET /a\b`, "GET /./a"} {
		if _, err := sts.ParseRule(bad); err == nil {
			t.Errorf("%q is a rule", bad)
		}
	}
	for rule, paths := range map[string]map[string]bool{
		"GET /*":               {"/a": true, "/a/b": true, "/": false, "/batch": false},
		"GET /":                {"/": true, "/a": false},
		"GET /a/*":             {"/a/b": true, "/a/b/c": true, "/a/b/": true, "/a": false, "/a/": false, "/ab": false, "/A/b": false, "/a/composite": false},
		"GET /a/*/c":           {"/a/b/c": true, "/a/b/d": false, "/a/b/b/c": false, "/a/b": false},
		"GET /a/composite":     {"/a/composite": true},
		"GET /a/*/composite":   {"/a/b/composite": false},
		"GET /a/composite/*":   {"/a/composite/b": false},
		"GET /calendars/a b/*": {"/calendars/a b/c": true},
	} {
		r, err := sts.ParseRule(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
		}
		for path, want := range paths {
			if r.Allows("GET", path) != want || r.Allows("POST", path) {
				t.Errorf("%s, %s: not %v", rule, path, want)
			}
		}
	}
}

// FuzzProxyPath: whatever is accepted is one path in one spelling. A server that reads what is sent sees what was
// matched, a second decoding changes nothing, and a rule for a folder lets nothing go beside it.
func FuzzProxyPath(f *testing.F) {
	for _, seed := range []string{
		"/proxy/files/files/one", "/proxy/files/files/a%20b/%C3%BC?q=1", "/proxy/files/files/../secret", "/proxy/files/files/%2e%2e/x", "/proxy/files/files/%252e/x", "/proxy/files/files//x",
		"/proxy/files/files/a%2fb", "/proxy/files/files/a%5cb", "/proxy/files/files/..;/x", "/proxy/files/files/%c0%af", "/proxy/files/files/%ef%bc%8f", "/proxy/files/files/$batch", "/proxy/files/a*b", "/proxy/a/?_method=x", "/proxy/a/%",
	} {
		f.Add(seed)
	}
	folder, err := sts.ParseRule("GET /files/*")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		to, err := sts.ReadTarget(uri)
		if err != nil {
			return
		}
		sent, err := url.ParseRequestURI(to.Encoded() + "?" + to.Query)
		if err != nil || sent.Path != to.Path || sent.RawQuery != to.Query || sent.Fragment != "" {
			t.Fatalf("%q is sent as %q and read as %+v (%v)", uri, to.Encoded(), sent, err)
		}
		if again, err := url.PathUnescape(to.Path); err != nil || again != to.Path {
			t.Fatalf("%q is another path when it is decoded twice: %q", uri, to.Path)
		}
		if clean := path.Clean(to.Path); clean != to.Path && clean+"/" != to.Path {
			t.Fatalf("%q is not clean: %q", uri, to.Path)
		}
		if strings.ContainsAny(to.Path, "\\;?#%\x00\r\n") || strings.ContainsAny(to.Query, "\r\n# \x00") || strings.ContainsAny(to.Connection, "/%.?") && strings.Contains(to.Connection, "/") {
			t.Fatalf("%q has what may not be there: %+v", uri, to)
		}
		if folder.Allows("GET", to.Path) && (!strings.HasPrefix(to.Path, "/files/") || strings.Contains(strings.ToLower(to.Path), "/$batch/")) {
			t.Fatalf("%q is allowed: %q", uri, to.Path)
		}
		twice, err := sts.ReadTarget(sts.ProxyPath + to.Connection + to.Encoded())
		if err != nil || twice.Path != to.Path {
			t.Fatalf("%q as it is sent is another: %+v, %v", uri, twice, err)
		}
	})
}
