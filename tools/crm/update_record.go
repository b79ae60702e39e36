package crm

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/grantry/grantry/tools"
)

// UpdateArguments are the arguments of crm_update_record.
type UpdateArguments struct {
	Object string                 `json:"object" jsonschema:"API name of the record's object, such as Opportunity." schema:"minLength=1,maxLength=80,pattern=^[A-Za-z][A-Za-z0-9_]*$"`
	ID     string                 `json:"id" jsonschema:"Id of the record, as crm_query gives it." schema:"minLength=15,maxLength=18,pattern=^[A-Za-z0-9]+$"`
	Fields map[string]tools.Value `json:"fields" jsonschema:"The new values by the fields' API names, such as {\"StageName\": \"Closed Won\", \"Amount\": 12000}. null empties a field." schema:"maxProperties=25,maxLength=32000"`
}

// maxName is not in the expression: a counted repetition takes a millisecond to compile, at every start.
const maxName = 80

var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Check refuses what can be no record, and no fields.
func (a UpdateArguments) Check() error {
	if n := len(a.ID); n != 15 && n != 18 {
		return &tools.InputError{Path: "id", Reason: "must have 15 or 18 characters"}
	}
	if len(a.Fields) == 0 {
		return &tools.InputError{Path: "fields", Reason: "must name at least one field"}
	}
	for _, name := range a.names() {
		if len(name) > maxName || !fieldName.MatchString(name) {
			return &tools.InputError{Path: "fields", Reason: fmt.Sprintf("must have API names as its keys, not %q", tools.Head(name, 40))}
		}
	}
	return nil
}

// names are the fields that are changed, sorted.
func (a UpdateArguments) names() []string { return slices.Sorted(maps.Keys(a.Fields)) }

// Updated is the result of crm_update_record.
type Updated struct {
	ID     string   `json:"id"`
	Type   string   `json:"type" jsonschema:"The record's object"`
	Fields []string `json:"fields" jsonschema:"The fields that were changed"`
}

func updateRecord() tools.Tool {
	return tools.Define(tools.Write, "crm_update_record", "Update a CRM record",
		"Changes fields of one Salesforce record, and nothing else of it. Others see it at once.",
		tools.Via(salesforceNeed(), salesforceUpdate).Preview(salesforcePreview),
		tools.Summarize(func(in UpdateArguments, _ Updated) string {
			return fmt.Sprintf("%s %s: %s", in.Object, in.ID, strings.Join(in.names(), ", "))
		}),
	)
}
