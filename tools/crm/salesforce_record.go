package crm

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/grantry/grantry/tools"
)

// salesforceUpdate is PATCH /sobjects/{object}/{id}
// (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_update_fields.htm).
// It answers 204. What is sent is what to set, so that an answer that was lost costs nothing but a look.
func salesforceUpdate(ctx context.Context, c *tools.Client, in UpdateArguments) (Updated, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, recordAddress(c.APIBase, in), bytes.NewReader(encoded(in.Fields)))
	if err != nil {
		return Updated{}, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := c.Do(req)
	if err != nil {
		return Updated{}, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusOK {
		return Updated{}, c.Unreadable(resp.StatusCode)
	}
	return Updated{ID: in.ID, Type: in.Object, Fields: in.names()}, nil
}

// salesforcePreview is GET /sobjects/{object}/{id}?fields=…, and what of it the update would change.
func salesforcePreview(ctx context.Context, c *tools.Client, in UpdateArguments) ([]tools.Change, error) {
	names := in.names()
	address := recordAddress(c.APIBase, in) + "?fields=" + url.QueryEscape(strings.Join(names, ","))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	now, err := tools.JSON[map[string]json.RawMessage](c, req)
	if err != nil {
		return nil, err
	}
	var out []tools.Change
	for _, name := range names {
		was, there := fieldOf(now, name)
		if !there {
			return nil, c.Unreadable(http.StatusOK)
		}
		if was.Text() != in.Fields[name].Text() {
			out = append(out, tools.Change{Field: name, Was: was.Text(), Becomes: in.Fields[name].Text()})
		}
	}
	return out, nil
}

// fieldOf is a field of a record: Salesforce answers with its own spelling of the name.
func fieldOf(record map[string]json.RawMessage, name string) (v tools.Value, there bool) {
	for n, raw := range record {
		if strings.EqualFold(n, name) {
			return v, v.UnmarshalJSON(raw) == nil
		}
	}
	return v, false
}

func recordAddress(base string, in UpdateArguments) string {
	if base == "" {
		base = salesforceHost
	}
	return strings.TrimSuffix(base, "/") + "/services/data/" + salesforceVersion + "/sobjects/" + in.Object + "/" + in.ID
}
