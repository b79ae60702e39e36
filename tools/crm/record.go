package crm

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/grantry/grantry/tools"
)

// maxValue is how many bytes of one field are shown.
const maxValue = 32 << 10

// attributes is what Salesforce puts into every record besides its fields.
type attributes struct {
	Type string `json:"type"`
	URL  string `json:"url"` // "/services/data/v67.0/sobjects/Account/001xx000003DGb0AAG"
}

// flatten turns `attributes` into `type` and `id`, in records within r too, and
// writes times as RFC 3339.
func flatten(r Record) Record {
	var a attributes
	_ = json.Unmarshal(r["attributes"], &a)
	out := make(Record, len(r)+1)
	for name, v := range r {
		if name != "attributes" {
			out[name] = flattenValue(v)
		}
	}
	if a.Type != "" {
		out["type"] = encoded(a.Type)
	}
	if id := a.URL[strings.LastIndexByte(a.URL, '/')+1:]; id != "" {
		out["id"] = encoded(id)
	}
	return out
}

func flattenValue(v json.RawMessage) json.RawMessage {
	switch {
	case len(v) == 0:
		return json.RawMessage("null")
	case v[0] == '"':
		var s string
		if json.Unmarshal(v, &s) != nil {
			return v
		}
		return encoded(tools.Clip(rfc3339(s), maxValue))
	case v[0] != '{':
		return v
	}
	var r Record
	if json.Unmarshal(v, &r) != nil {
		return v
	}
	if r["attributes"] != nil {
		return encoded(flatten(r))
	}
	if r["records"] != nil && r["totalSize"] != nil {
		return flattenChildren(v)
	}
	return v
}

// flattenChildren is the result of a query within a query. When it has more
// than it brings, total is larger than the number of records.
func flattenChildren(v json.RawMessage) json.RawMessage {
	var page salesforcePage
	if json.Unmarshal(v, &page) != nil {
		return v
	}
	out := RecordList{Records: make([]Record, 0, len(page.Records)), Total: &page.Total}
	for _, r := range page.Records {
		out.Records = append(out.Records, flatten(r))
	}
	return encoded(out)
}

// salesforceTime is how Salesforce writes times: the offset has no colon.
var salesforceTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d{4}$`)

func rfc3339(s string) string {
	if !salesforceTime.MatchString(s) {
		return s
	}
	t, err := time.Parse("2006-01-02T15:04:05.999Z0700", s)
	if err != nil {
		return s
	}
	return t.Format(time.RFC3339Nano)
}

// fit shortens the values of a record that would fill a result alone.
func fit(r Record) Record {
	for limit := maxValue / 2; limit >= 16 && len(encoded(r)) > tools.MaxItem; limit /= 2 {
		for name, v := range r {
			if len(v) > limit {
				r[name] = clipValue(v, limit)
			}
		}
	}
	return r
}

func clipValue(v json.RawMessage, limit int) json.RawMessage {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return encoded(tools.Clip(s, limit))
	}
	return encoded(tools.CutLine(int64(len(v)), int64(len(v))))
}

// encoded is JSON of what cannot fail to be JSON, without the escapes that are meant for HTML.
func encoded[T any](v T) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
