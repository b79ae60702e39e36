package crm_test

import (
	"encoding/json"
	"testing"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/crm"
	"github.com/grantry/grantry/tools/tooltest"
)

func TestAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "salesforce", "api")
	for _, q := range []string{"SELECT Id, Name FROM Account", "SELECT Id, Name, StageName, Amount, CreatedDate FROM Opportunity"} {
		seen, cursor := map[string]bool{}, ""
		for ok := true; ok; ok = cursor != "" {
			args := map[string]string{"query": q}
			if cursor != "" {
				args["cursor"] = cursor
			}
			raw, err := json.Marshal(args)
			if err != nil {
				t.Fatal(err)
			}
			page := tooltest.Call[crm.RecordList](t, query(t), src, string(raw))
			for _, r := range page.Records {
				if seen[string(r["id"])] || r["type"] == nil || r["Name"] == nil || r["attributes"] != nil {
					t.Errorf("%s: record %s", q, r)
				}
				seen[string(r["id"])] = true
			}
			cursor = page.NextCursor
			if cursor == "" && len(seen) != *page.Total || len(seen) == 0 {
				t.Errorf("%s: %d of %d records", q, len(seen), *page.Total)
			}
		}
	}
	e := tooltest.Fails[*tools.APIError](t, query(t), src, `{"query":"SELECT Id FROM Account WHERE Name ="}`)
	if e.Code != "MALFORMED_QUERY" {
		t.Errorf("%+v", e)
	}
}
