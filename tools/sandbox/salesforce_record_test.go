package sandbox_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patch updates a record and answers what Salesforce would.
func (w *world) patch(token, record, body string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPatch, w.vendor("salesforce").API+"/services/data/v67.0/sobjects/"+record, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return w.do(req)
}

func (w *world) record(token, record, fields string) map[string]any {
	w.t.Helper()
	return w.get(w.vendor("salesforce").API+"/services/data/v67.0/sobjects/"+record+"?fields="+fields, token).object(w.t)
}

// What is written is what is read, by queries and through parents too, and it outlives a restart.
func TestSalesforceUpdates(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	w := newWorld(t, file)
	alice := str(w.connect("salesforce", "alice", "api"), "access_token")
	const account, deal = "Account/001Qy0000000001IAX", "opportunity/006Qy0000000001"
	want(t, "empty answer", string(w.patch(alice, account, `{"name":"Northwind Foods","Phone":null}`).body), "")
	want(t, "status", w.patch(alice, deal, `{"CloseDate":"2027-01-31","StageName":"Closed Lost"}`).status, http.StatusNoContent)
	w.sleep(time.Hour)
	for _, w := range []*world{w, newWorld(t, file)} {
		got := w.record(alice, account, "Name,Phone,LastModifiedDate")
		want(t, "name", str(got, "Name"), "Northwind Foods")
		want(t, "phone", got["Phone"], nil)
		want(t, "modified", str(got, "LastModifiedDate"), "2026-11-18T10:30:00.000+0000")
		found := list(w.soql(alice, "SELECT Account.Name, CloseDate, Probability, IsClosed, IsWon FROM Opportunity WHERE StageName = 'Closed Lost' AND Account.Name LIKE 'Northwind%'").object(t), "records")
		want(t, "found", len(found), 1)
		want(t, "closes", str(found[0], "CloseDate"), "2027-01-31")
		want(t, "chance", found[0]["Probability"], any(float64(0)))
		want(t, "closed", found[0]["IsClosed"], any(true))
		want(t, "parent", str(found[0]["Account"].(map[string]any), "Name"), "Northwind Foods")
	}
}

func TestSalesforceUpdateRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	alice := str(w.connect("salesforce", "alice", "api"), "access_token")
	for name, c := range map[string]struct{ record, body, code string }{
		"another's lead":   {"Lead/00QQy0000000007IAX", `{"Status":"x"}`, "NOT_FOUND"},
		"unknown record":   {"Account/001Qy0000099999IAX", `{"Name":"x"}`, "NOT_FOUND"},
		"unknown object":   {"Thing/001Qy0000000001IAX", `{"Name":"x"}`, "NOT_FOUND"},
		"a user":           {"User/005Qy00000A11ceIAB", `{"Title":"CEO"}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		"all or nothing":   {"Account/001Qy0000000001IAX", `{"Name":"x","Id":"y"}`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		"not JSON":         {"Account/001Qy0000000001IAX", `Name=x`, "JSON_PARSER_ERROR"},
		"a date as a time": {"Opportunity/006Qy0000000001IAX", `{"CloseDate":"2027-01-31T00:00:00Z"}`, "JSON_PARSER_ERROR"},
	} {
		res := w.patch(alice, c.record, c.body)
		code, _ := sfErrors(t, res)
		want(t, name, code, c.code)
	}
	want(t, "nothing changed", str(w.record(alice, "Account/001Qy0000000001IAX", "Name"), "Name"), "Northwind Traders")
	want(t, "no token", w.patch("", "Account/001Qy0000000001IAX", `{}`).status, http.StatusUnauthorized)
	code, _ := sfErrors(t, w.get(w.vendor("salesforce").API+"/services/data/v67.0/sobjects/Account/001Qy0000000001IAX?fields=Nothing", alice))
	want(t, "unknown field", code, "INVALID_FIELD")
}
