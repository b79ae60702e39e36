package tools

import (
	"encoding/json"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// approvalArgument is what a tool that writes takes besides: which approved call to run.
const approvalArgument = "approval"

func approvalSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type:        "string",
		Description: "Id of a call that the user has approved (ap_…), as an earlier answer gave it: runs that call as it was approved, once. All other arguments may then be left out.",
		MinLength:   jsonschema.Ptr(4),
		MaxLength:   jsonschema.Ptr(64),
		Pattern:     `^ap_[A-Za-z0-9_-]+$`,
	}
}

// approvable is a schema of arguments that may all be left out when there is an approval. It says
// so by if and else: some clients refuse anyOf at the top of a schema.
func approvable(in *jsonschema.Schema) *jsonschema.Schema {
	out := *in
	out.Properties = map[string]*jsonschema.Schema{approvalArgument: approvalSchema()}
	for name, p := range in.Properties {
		out.Properties[name] = p
	}
	out.PropertyOrder = append(slices.Clone(in.PropertyOrder), approvalArgument)
	if len(in.Required) > 0 {
		out.Required = nil
		out.If = &jsonschema.Schema{Required: []string{approvalArgument}}
		out.Else = &jsonschema.Schema{Required: in.Required}
	}
	return &out
}

// Approval takes the argument `approval` out of a call's arguments: its id, "" when
// there is none, and the arguments without it, nil when none are left. An *[InputError] says that they cannot be read.
func (t Tool) Approval(args json.RawMessage) (id string, rest json.RawMessage, err error) {
	v, err := parse(args)
	if err != nil {
		return "", nil, err
	}
	object, ok := v.(map[string]any)
	given, there := object[approvalArgument]
	if t.Kind == Read || !ok || !there {
		return "", args, nil
	}
	if _, err := check(t.Name, approvalArgument, approvalSchema(), given); err != nil {
		return "", nil, err
	}
	delete(object, approvalArgument)
	if len(object) > 0 {
		if rest, err = encode(object); err != nil {
			return "", nil, err
		}
	}
	return given.(string), rest, nil
}
