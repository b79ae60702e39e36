package crm_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/crm"
	"github.com/grantry/grantry/tools/tooltest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	tooltest.Golden(t, *update, crm.Tools())
}

func query(t *testing.T) tools.Tool {
	t.Helper()
	return tooltest.Find(t, crm.Tools(), "crm_query")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	mistakes := []tooltest.Mistake{
		{Args: `{}`, Path: "query", Says: "is missing"},
		{Args: `{"query":5}`, Path: "query", Says: "must be a string"},
		{Args: `{"soql":"SELECT Id FROM Account"}`, Path: "soql", Says: "Allowed: query, cursor, account"},
		{Args: `{"query":"` + strings.Repeat("x", 10001) + `"}`, Path: "query", Says: "at most 10000"},
		{Args: `{"query":"SELECT Id FROM Account WHERE Name = '` + strings.Repeat("ü", 3000) + `'"}`, Path: "query", Says: "too long for an address"},
	}
	for q, says := range map[string]string{
		"   ":                                                    "must be a SOQL SELECT statement",
		"UPDATE Account SET Name = 'x'":                          "this tool only reads",
		"DELETE FROM Account":                                    "this tool only reads",
		"FIND {x} IN ALL FIELDS":                                 "this tool only reads",
		"(SELECT Id FROM Account)":                               "must be a SOQL SELECT",
		"'SELECT' Id":                                            "must be a SOQL SELECT",
		"SELECTED Id FROM Account":                               "must be a SOQL SELECT",
		"SELECT Id FROM Account; SELECT Id":                      "must be one statement",
		" select\n* FROM Account":                                "must name its fields",
		"SELECT Id FROM Account;":                                "without a semicolon",
		"SELECT Id FROM Account FOR UPDATE":                      "must not have FOR UPDATE",
		"select id from account for\tview":                       "must not have FOR VIEW",
		"SELECT Id FROM Account\nFOR\n\nREFERENCE":               "must not have FOR REFERENCE",
		"SELECT Id FROM Account WHERE Name='a'FOR VIEW":          "must not have FOR VIEW",
		"SELECT Id FROM Account WHERE Name = 'a\\'' FOR UPDATE":  "must not have FOR UPDATE",
		"SELECT Id FROM Account WHERE Name = '\\\\' FOR UPDATE":  "must not have FOR UPDATE",
		"SELECT Title FROM FAQ__kav UPDATE VIEWSTAT":             "must not have UPDATE VIEWSTAT",
		"SELECT Title FROM FAQ__kav UPDATE TRACKING":             "must not have UPDATE TRACKING",
		"SELECT Id FROM Account WHERE Name = 'x":                 "has a string that does not end",
		"SELECT Id FROM Account WHERE Name = 'x\\'":              "has a string that does not end",
		"SELECT Id FROM Account WHERE Id = '1' FOR\u00a0UPDATE":  "must not have FOR UPDATE",
		"SELECT Id FROM Account WHERE Id = '1' FOR\u200bUPDATE":  "must not have FOR UPDATE",
		"SELECT Id FROM Account WHERE Id = '1' FOR VIEW, UPDATE": "must not have FOR VIEW",
	} {
		args, err := json.Marshal(map[string]string{"query": q})
		if err != nil {
			t.Fatal(err)
		}
		mistakes = append(mistakes, tooltest.Mistake{Args: string(args), Path: "query", Says: says})
	}
	tooltest.Refuses(t, query(t), mistakes)
}

// salesforce plays /query over a list of records.
type salesforce struct {
	records []string // JSON
	batch   int
	next    string // instead of the right nextRecordsUrl

	mu   sync.Mutex
	asks []*http.Request
}

func (s *salesforce) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asks = append(s.asks, r)
	s.mu.Unlock()
	const base = "/services/data/v67.0/query"
	from := 0
	if r.URL.Path != base {
		if _, err := fmt.Sscanf(r.URL.Path, base+"/01gD0000002HU6KIAW-%d", &from); err != nil {
			http.Error(w, `[{"errorCode":"INVALID_QUERY_LOCATOR","message":"canary"}]`, http.StatusBadRequest)
			return
		}
	}
	to := min(from+s.batch, len(s.records))
	next := ""
	if to < len(s.records) {
		next = fmt.Sprintf("%s/01gD0000002HU6KIAW-%d", base, to)
	}
	if s.next != "" {
		next = s.next
	}
	_, _ = fmt.Fprintf(w, `{"totalSize":%d,"done":%v,"nextRecordsUrl":%q,"records":[%s]}`, len(s.records), next == "", next, strings.Join(s.records[from:to], ","))
}

const account = `{"attributes":{"type":"Account","url":"/services/data/v67.0/sobjects/Account/001xx000003DGb0AAG"},"Id":"001xx000003DGb0AAG","Name":"Acme <Ltd> & \"Co\"",
 "CreatedDate":"2026-03-01T10:11:12.000+0000","CloseDate":"2026-04-01","AnnualRevenue":1.5E7,"Active":true,"Fax":null,
 "Owner":{"attributes":{"type":"User","url":"/services/data/v67.0/sobjects/User/005xx"},"Name":"Alice"},
 "Contacts":{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v67.0/query/01g-1","records":[{"attributes":{"type":"Contact","url":"/x/003xx"},"Email":"b@example.com","LastModifiedDate":"2026-03-01T10:11:12.500-0800"}]},
 "Parts":null,"BillingAddress":{"city":"Vienna"}}`

func TestRecords(t *testing.T) {
	t.Parallel()
	s := &salesforce{records: []string{account, `{"attributes":{"type":"AggregateResult"},"expr0":3}`}, batch: 200}
	src := tooltest.NewSource(t, "salesforce", s)
	q := "SELECT Id, Name FROM Account WHERE Name LIKE '%for update; %' AND Note = 'it\\'s' ORDER BY CreatedDate"
	args, _ := json.Marshal(map[string]string{"query": q})
	res, err := query(t).Call(t.Context(), src, args)
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Conforms(t, query(t), res)
	var got, want any
	_ = json.Unmarshal(res.Structured, &got)
	err = json.Unmarshal([]byte(`{"total":2,"records":[
	 {"id":"001xx000003DGb0AAG","type":"Account","Id":"001xx000003DGb0AAG","Name":"Acme <Ltd> & \"Co\"",
	  "CreatedDate":"2026-03-01T10:11:12Z","CloseDate":"2026-04-01","AnnualRevenue":15000000,"Active":true,"Fax":null,
	  "Owner":{"type":"User","id":"005xx","Name":"Alice"},
	  "Contacts":{"total":2,"records":[{"type":"Contact","id":"003xx","Email":"b@example.com","LastModifiedDate":"2026-03-01T10:11:12.5-08:00"}]},
	  "Parts":null,"BillingAddress":{"city":"Vienna"}},
	 {"type":"AggregateResult","expr0":3}]}`), &want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r := s.asks[0]
	if r.URL.Query().Get("q") != q || r.Header.Get("Sforce-Query-Options") != "batchSize=200" || r.Header.Get("Authorization") != "Bearer "+tooltest.Token {
		t.Errorf("asked %s with %v", r.URL, r.Header)
	}
}

func TestACountHasNoRecords(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "salesforce", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"totalSize":7,"done":true,"records":[]}`)
	}))
	res, err := query(t).Call(t.Context(), src, []byte(`{"query":"SELECT COUNT() FROM Account"}`))
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Conforms(t, query(t), res)
	if res.Text != `{"records":[],"total":7}` {
		t.Error(res.Text)
	}
}

// note is a record of about size bytes in 20 fields.
func note(i, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"attributes":{"type":"Note","url":"/x/n%d"}`, i)
	for f := range 20 {
		fmt.Fprintf(&b, `,"F%d":%q`, f, strings.Repeat("ü", size/40))
	}
	return b.String() + "}"
}

func TestPagesToTheEndWithoutDoubles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, records, batch int }{
		"by the vendor's batch":           {10, 50, 20},
		"by the cap":                      {12000, 50, 25},
		"with records that fill a result": {400 << 10, 6, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &salesforce{batch: c.batch}
			for i := range c.records {
				s.records = append(s.records, note(i, c.size))
			}
			src := tooltest.NewSource(t, "salesforce", s)
			seen, calls := map[string]bool{}, 0
			for cursor := ""; calls == 0 || cursor != ""; calls++ {
				args, _ := json.Marshal(map[string]string{"query": "SELECT A, B FROM Note"})
				if cursor != "" {
					args, _ = json.Marshal(map[string]string{"query": "SELECT A, B FROM Note", "cursor": cursor})
				}
				out := tooltest.Call[crm.RecordList](t, query(t), src, string(args))
				if *out.Total != c.records {
					t.Errorf("total %d", *out.Total)
				}
				for _, r := range out.Records {
					if seen[string(r["id"])] {
						t.Fatalf("%s twice", r["id"])
					}
					seen[string(r["id"])] = true
				}
				cursor = out.NextCursor
			}
			if len(seen) != c.records || calls < 3 {
				t.Errorf("%d records in %d calls", len(seen), calls)
			}
		})
	}
}

// TestTheVendorsAddressIsNotFollowed: of nextRecordsUrl only a locator is kept, and a
// cursor that somebody wrote cannot lead elsewhere.
func TestTheVendorsAddressIsNotFollowed(t *testing.T) {
	t.Parallel()
	s := &salesforce{records: []string{`{"A":1}`, `{"A":2}`}, batch: 1, next: "https://evil.example/services/data/v67.0/query/01gD0000002HU6KIAW-1"}
	src := tooltest.NewSource(t, "salesforce", s)
	out := tooltest.Call[crm.RecordList](t, query(t), src, `{"query":"SELECT A FROM B"}`)
	s.next = ""
	args, _ := json.Marshal(map[string]string{"query": "SELECT A FROM B", "cursor": out.NextCursor})
	if out = tooltest.Call[crm.RecordList](t, query(t), src, string(args)); string(out.Records[0]["A"]) != "2" {
		t.Errorf("got %v", out.Records)
	}

	s.next = "/services/data/v67.0/query/..%2f?x=canary"
	tooltest.Fails[*tools.APIError](t, query(t), src, `{"query":"SELECT A FROM B"}`)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]tools.APIError{
		`[{"errorCode":"MALFORMED_QUERY","message":"canary unexpected token"}]`:  {Status: 400, Code: "MALFORMED_QUERY", Reason: "says that the query is not valid SOQL"},
		`[{"errorCode":"INVALID_FIELD","message":"No such column 'canary'"}]`:    {Status: 400, Code: "INVALID_FIELD", Reason: "says that a field does not exist or is hidden from this account"},
		`[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"canary"}]`:            {Status: 403, Code: "REQUEST_LIMIT_EXCEEDED", Reason: "says that the quota for today is used up"},
		`[{"errorCode":"CANARY","message":"canary"}]`:                            {Status: 400, Reason: "did not accept the request"},
		`[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"canary","fields":["x"]}]`: {Status: 400, Code: "UNABLE_TO_LOCK_ROW", Reason: "has trouble of its own", Temporary: true},
	} {
		src := tooltest.NewSource(t, "salesforce", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, body, want.Status)
		}))
		want.Provider = "salesforce"
		got := tooltest.Fails[*tools.APIError](t, query(t), src, `{"query":"SELECT A FROM B"}`)
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// TestTheInstanceIsAsked: the address that came with the token is where the call goes.
func TestTheInstanceIsAsked(t *testing.T) {
	t.Parallel()
	var asked *url.URL
	src := tooltest.NewSource(t, "salesforce", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL
		_, _ = io.WriteString(w, `{"totalSize":0,"done":true,"records":[]}`)
	}))
	src.Bear.APIBase = "https://acme.my.salesforce.com/"
	tooltest.Call[crm.RecordList](t, query(t), src, `{"query":"SELECT A FROM B"}`)
	if asked == nil || asked.Path != "/services/data/v67.0/query" {
		t.Errorf("asked %v", asked)
	}
}
