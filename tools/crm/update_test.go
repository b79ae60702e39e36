package crm_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/crm"
	"github.com/grantry/grantry/tools/tooltest"
)

const northwind = "006Qy0000000001IAX" // of the sandbox

func updater(t *testing.T) tools.Tool {
	t.Helper()
	return tooltest.Find(t, crm.Tools(), "crm_update_record")
}

func TestUpdateMistakes(t *testing.T) {
	t.Parallel()
	const id = `"object":"Opportunity","id":"006Qy0000000001IAX"`
	tooltest.Refuses(t, updater(t), []tooltest.Mistake{
		{Args: `{}`, Path: "object", Says: "is missing"},
		{Args: `{` + id + `}`, Path: "fields", Says: "is missing"},
		{Args: `{` + id + `,"fields":{}}`, Path: "fields", Says: "at least one"},
		{Args: `{` + id + `,"fields":{"Owner.Name":"x"}}`, Path: "fields", Says: "API names"},
		{Args: `{` + id + `,"fields":{"a?b":"x"}}`, Path: "fields", Says: "API names"},
		{Args: `{` + id + `,"fields":{"Owner":{"Name":"x"}}}`, Path: "fields.Owner", Says: "not an object"},
		{Args: `{"object":"../query","id":"006Qy0000000001IAX","fields":{"A":1}}`, Path: "object", Says: "must match"},
		{Args: `{"object":"Lead","id":"006Qy0000000001I","fields":{"A":1}}`, Path: "id", Says: "15 or 18"},
		{Args: `{"object":"Lead","id":"006Qy000000/../x","fields":{"A":1}}`, Path: "id", Says: "must match"},
	})
}

// What is sent is what was named, to the record alone, and the preview only reads.
func TestUpdateOnTheWire(t *testing.T) {
	t.Parallel()
	var asked []string
	src := tooltest.NewSource(t, "salesforce", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.String()+" "+string(body))
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, `{"attributes":{},"Id":"x","amount":12.0,"Name":"<b>","NextStep":null}`)
	}))
	args := `{"object":"Opportunity","id":"` + northwind + `","fields":{"NextStep":"call","Amount":12.0,"Name":"<i>"}}`
	changes, err := updater(t).Preview(t.Context(), src, json.RawMessage(args))
	want := []tools.Change{{Field: "Name", Was: "<b>", Becomes: "<i>"}, {Field: "NextStep", Becomes: "call"}}
	if diff := cmp.Diff(want, changes); diff != "" || err != nil {
		t.Errorf("preview: %v %s", err, diff)
	}
	out := tooltest.Call[crm.Updated](t, updater(t), src, args)
	if diff := cmp.Diff(crm.Updated{ID: northwind, Type: "Opportunity", Fields: []string{"Amount", "Name", "NextStep"}}, out); diff != "" {
		t.Error(diff)
	}
	const path = "/services/data/v67.0/sobjects/Opportunity/" + northwind
	if diff := cmp.Diff([]string{
		"GET " + path + "?fields=Amount%2CName%2CNextStep ",
		"PATCH " + path + ` {"Amount":12.0,"Name":"<i>","NextStep":"call"}`,
	}, asked); diff != "" {
		t.Error(diff)
	}
}

// An update whose answer was lost is not said to have failed.
func TestUpdateUnsure(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "salesforce", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "canary", http.StatusInternalServerError)
	}))
	e := tooltest.Fails[*tools.APIError](t, updater(t), src, `{"object":"Lead","id":"`+northwind+`","fields":{"A":1}}`)
	if !e.Unsure || e.Temporary || !strings.Contains(e.Reason, "look before you try again") {
		t.Errorf("%+v", e)
	}
}

func TestUpdateInTheSandbox(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "salesforce", "api")
	args := `{"object":"Opportunity","id":"` + northwind + `","fields":{"StageName":"Closed Won","Amount":150000,"NextStep":null}}`
	preview := func() []tools.Change {
		got, err := updater(t).Preview(t.Context(), src, json.RawMessage(args))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := []tools.Change{
		{Field: "Amount", Was: "144000", Becomes: "150000"},
		{Field: "NextStep", Was: "Send both variants"},
		{Field: "StageName", Was: "Negotiation/Review", Becomes: "Closed Won"},
	}
	if diff := cmp.Diff(want, preview()); diff != "" {
		t.Error(diff)
	}
	res, err := updater(t).Call(t.Context(), src, json.RawMessage(args))
	if err != nil || res.Summary != "Opportunity "+northwind+": Amount, NextStep, StageName" {
		t.Fatalf("%+v, %v", res, err)
	}
	if again := preview(); len(again) != 0 {
		t.Errorf("the same again would change %+v", again)
	}
	out := tooltest.Call[crm.RecordList](t, query(t), src, `{"query":"SELECT StageName, Amount, NextStep, IsWon FROM Opportunity WHERE Id = '`+northwind+`'"}`)
	if r := out.Records[0]; string(r["Amount"]) != "150000" || string(r["NextStep"]) != "null" || string(r["IsWon"]) != "true" {
		t.Errorf("record %s", r)
	}
	for fields, code := range map[string]string{
		`"Nothing":1`: "INVALID_FIELD", `"Amount":"many"`: "JSON_PARSER_ERROR", `"IsWon":true`: "INVALID_FIELD_FOR_INSERT_UPDATE",
		`"StageName":"Won"`: "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", `"Name":null`: "REQUIRED_FIELD_MISSING",
	} {
		e := tooltest.Fails[*tools.APIError](t, updater(t), src, `{"object":"Opportunity","id":"`+northwind+`","fields":{`+fields+`}}`)
		if e.Code != code || e.Unsure || e.Temporary {
			t.Errorf("%s: %+v", fields, e)
		}
	}
}
