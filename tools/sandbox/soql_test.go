package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// cells flattens records to "a|b" lines in the order of the fields.
func cells(records []map[string]any, fields string) string {
	var lines []string
	for _, r := range records {
		var row []string
		for _, f := range strings.Fields(fields) {
			at := r
			names := strings.Split(f, ".")
			for _, n := range names[:len(names)-1] {
				at, _ = at[n].(map[string]any)
			}
			row = append(row, fmt.Sprint(at[names[len(names)-1]]))
		}
		lines = append(lines, strings.Join(row, "|"))
	}
	return strings.Join(lines, "; ")
}

func TestSOQL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("salesforce", "alice", "api"), "access_token")
	for _, c := range []struct{ query, fields, want string }{
		{"SELECT Name FROM Account WHERE Industry = 'technology' ORDER BY Name", "Name", "Hooli; Initech"},
		{"select name from account where name = 'Acme O\\'Hara Ltd'", "Name", "Acme O'Hara Ltd"},
		{"SELECT Name FROM Account WHERE Name LIKE 'c%er__yne%'", "Name", ""},
		{"SELECT Name FROM Account WHERE Name LIKE 'c%berdyne%'", "Name", "Cyberdyne Systems"},
		{"SELECT Name FROM Account WHERE Name LIKE 'Glo_ex'", "Name", "Globex"},
		{"SELECT Name FROM Account WHERE Name LIKE '100\\%'", "Name", ""},
		{"SELECT Name, AnnualRevenue FROM Account WHERE AnnualRevenue > 1.4e8 ORDER BY AnnualRevenue DESC", "Name AnnualRevenue", "Stark Industries|3.1e+08; Wayne Enterprises|2.05e+08"},
		{"SELECT Name FROM Account WHERE NumberOfEmployees >= 85 AND NumberOfEmployees <= 260 ORDER BY NumberOfEmployees", "Name", "Initech; Soylent; Northwind Traders"},
		{"SELECT Name FROM Account WHERE BillingCountry IN ('Germany', 'Austria') ORDER BY Name LIMIT 2", "Name", "Cyberdyne Systems; Northwind Traders"},
		{"SELECT Name FROM Account WHERE BillingCountry NOT IN ('Germany','USA','Ireland') AND (Type = 'Prospect' OR Type LIKE '%Direct') ORDER BY Name ASC", "Name", "Cyberdyne Systems; Globex; Soylent; Stark Industries"},
		{"SELECT Name FROM Account WHERE NOT Type = 'Prospect' AND Name < 'H' ORDER BY Name", "Name", "Acme O'Hara Ltd; Cyberdyne Systems"},
		{"SELECT Name FROM Opportunity WHERE Amount = null", "Name", "Soylent evaluation"},
		{"SELECT Name FROM Opportunity WHERE Amount != 5300 AND Account.Name = 'Soylent'", "Name", "Soylent evaluation"},
		{"SELECT Name FROM Opportunity WHERE Amount < 6000 ORDER BY Name", "Name", "Acme renewal; Acme starter"},
		{"SELECT Name, Account.Name, Owner.Email FROM Opportunity WHERE StageName = 'Negotiation/Review' ORDER BY Amount DESC", "Name Account.Name Owner.Email", "Northwind renewal, three years|Northwind Traders|alice@example.com; Umbrella roll-out|Umbrella|alice@example.com"},
		{"SELECT Name FROM Opportunity WHERE IsWon = true ORDER BY CloseDate DESC LIMIT 2", "Name", "Stark pilot; Umbrella support plan"},
		{"SELECT Name, CloseDate FROM Opportunity WHERE CloseDate = THIS_MONTH AND IsClosed = FALSE ORDER BY CloseDate", "Name CloseDate", "Northwind renewal, three years|2026-11-27"},
		{"SELECT Name FROM Opportunity WHERE CloseDate = NEXT_N_DAYS:20 AND IsClosed = false ORDER BY CloseDate", "Name", "Northwind renewal, three years; Umbrella roll-out"},
		{"SELECT Name FROM Opportunity WHERE CloseDate > 2027-03-01", "Name", "Stark: all plants; Soylent evaluation"},
		{"SELECT Name FROM Opportunity WHERE CloseDate = NEXT_QUARTER AND Amount > 50000 ORDER BY Name", "Name", "Globex first 400 seats; Wayne platform"},
		{"SELECT Name, Amount FROM Opportunity ORDER BY Amount NULLS LAST, Name LIMIT 2 OFFSET 14", "Name Amount", "Stark: all plants|260000; Soylent evaluation|<nil>"},
		{"SELECT Name, Amount FROM Opportunity ORDER BY Amount DESC LIMIT 1", "Name Amount", "Soylent evaluation|<nil>"},
		{"SELECT COUNT() FROM Lead", "", ""},
		{"SELECT COUNT(NextStep) FROM Opportunity", "expr0", "8"},
		{"SELECT Name FROM Lead WHERE CreatedDate > 2026-11-01T00:00:00Z ORDER BY CreatedDate DESC LIMIT 1", "Name", "Noor de Vries"},
		{"SELECT Name\nFROM User\nWHERE IsActive = true\nORDER BY Name", "Name", "Alice Archer; Bob Baker"},
	} {
		res := w.soql(token, c.query)
		if res.status != http.StatusOK {
			t.Errorf("%s\n%d %s", c.query, res.status, res.body)
			continue
		}
		if got := cells(list(res.object(t), "records"), c.fields); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.query, got, c.want)
		}
	}
	leads := w.soql(token, "SELECT COUNT() FROM Lead").object(t)
	want(t, "alice's leads", leads["totalSize"], any(float64(6)))
	bob := str(w.connect("salesforce", "bob", "api"), "access_token")
	want(t, "bob's leads", w.soql(bob, "SELECT COUNT() FROM Lead").object(t)["totalSize"], any(float64(4)))
}

func TestSOQLRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("salesforce", "bob", "api"), "access_token")
	for query, expected := range map[string]string{
		"":                                             "MALFORMED_QUERY",
		"SELECT":                                       "MALFORMED_QUERY",
		"SELECT * FROM Account":                        "MALFORMED_QUERY",
		"SELECT Name FROM":                             "MALFORMED_QUERY",
		"SELECT Name Account":                          "MALFORMED_QUERY",
		"DELETE FROM Account":                          "MALFORMED_QUERY",
		"SELECT Name FROM Account; SELECT Id":          "MALFORMED_QUERY",
		"SELECT Name FROM Account WHERE":               "MALFORMED_QUERY",
		"SELECT Name FROM Account WHERE Name":          "MALFORMED_QUERY",
		"SELECT Name FROM Account LIMIT many":          "MALFORMED_QUERY",
		"SELECT Name FROM Account LIMIT -1":            "MALFORMED_QUERY",
		"SELECT Name FROM Account ORDER Name":          "MALFORMED_QUERY",
		"SELECT Name FROM Account WHERE Name = 'x":     "MALFORMED_QUERY",
		"SELECT Name FROM Account WHERE Name = 'a\\q'": "MALFORMED_QUERY",
		"SELECT Name FROM Account WHERE (Name = 'a'":   "MALFORMED_QUERY",

		"SELECT Name FROM Account WHERE Name = 'a' AND Type = 'b' OR Type = 'c'": "MALFORMED_QUERY",
		"SELECT StageName, SUM(Amount) FROM Opportunity GROUP BY StageName":      "MALFORMED_QUERY",
		"SELECT Name, (SELECT Id FROM Contacts) FROM Account":                    "MALFORMED_QUERY",

		"SELECT Name FROM Acount":                                     "INVALID_TYPE",
		"SELECT Nmae FROM Account":                                    "INVALID_FIELD",
		"SELECT Name, name FROM Account":                              "INVALID_FIELD",
		"SELECT Boss.Name FROM Contact":                               "INVALID_FIELD",
		"SELECT Account.Nmae FROM Contact":                            "INVALID_FIELD",
		"SELECT Name FROM Account WHERE Nmae = 'x'":                   "INVALID_FIELD",
		"SELECT Name FROM Account WHERE Name = 5":                     "INVALID_FIELD",
		"SELECT Name FROM Account WHERE AnnualRevenue = '5'":          "INVALID_FIELD",
		"SELECT Name FROM Opportunity WHERE CloseDate > '2026-01-01'": "INVALID_FIELD",
		"SELECT Name FROM Opportunity WHERE CloseDate = SOMEDAY":      "INVALID_FIELD",
		"SELECT Name FROM Opportunity WHERE Amount LIKE '5%'":         "INVALID_FIELD",
		"SELECT Name FROM Account ORDER BY Nmae":                      "INVALID_FIELD",
		"SELECT Name FROM Account OFFSET 2001":                        "NUMBER_OUTSIDE_VALID_RANGE",
	} {
		res := w.soql(token, query)
		if res.status != http.StatusBadRequest {
			t.Errorf("%s: status %d %s", query, res.status, res.body)
			continue
		}
		code, message := sfErrors(t, res)
		if code != expected || message == "" {
			t.Errorf("%s\n got %s: %s\nwant %s", query, code, message, expected)
		}
	}
	long := w.soql(token, "SELECT Name FROM Account WHERE Name = '"+strings.Repeat("x", 17_000)+"'")
	want(t, "a very long query", long.status, http.StatusRequestURITooLong)
}
