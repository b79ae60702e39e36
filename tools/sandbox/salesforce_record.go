package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// edit is what was changed of a seeded record: values by column name, as JSON has them.
type edit struct {
	Values map[string]any
	At     time.Time
}

// fixed are the columns that nobody can write.
func fixed() []string {
	return []string{"Id", "CreatedDate", "LastModifiedDate", "IsDeleted", "IsClosed", "IsWon", "ExpectedRevenue", "IsConverted"}
}

// crm is the seeded data as a person sees it, with what was changed since.
func (s *Sandbox) crm(p person) []table {
	tables := crm(p, s.cfg.Now())
	s.view(func(st *state) {
		for _, t := range tables {
			for _, r := range t.rows {
				if e := st.Edits[r["Id"].(string)]; e != nil {
					t.apply(r, e)
				}
			}
		}
	})
	return tables
}

// apply writes an edit into a row; others see it through their parents too.
func (t table) apply(r record, e *edit) {
	for name, v := range e.Values {
		col, _ := t.column(name)
		if r[name], _ = col.read(v); r[name] == nil {
			delete(r, name)
		}
	}
	r["LastModifiedDate"] = e.At
	if stage, changed := e.Values["StageName"].(string); changed && t.name == "Opportunity" {
		r["IsClosed"], r["IsWon"] = strings.HasPrefix(stage, "Closed"), stage == "Closed Won"
		if e.Values["Probability"] == nil {
			r["Probability"] = chances()[stage]
		}
	}
	amount, valued := r["Amount"].(float64)
	if chance, known := r["Probability"].(float64); valued && known {
		r["ExpectedRevenue"] = amount * chance / 100
	}
}

// column finds a column by name, without regard to case as Salesforce does.
func (t table) column(name string) (column, bool) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return column{}, false
	}
	return t.columns[i], true
}

// read is a JSON value as the column holds it, false where it does not fit; nil is an empty field.
func (c column) read(v any) (any, bool) {
	text, isText := v.(string)
	switch c.kind {
	case dayKind:
		at, err := time.Parse(time.DateOnly, text)
		return at, isText && err == nil || v == nil
	case numberKind:
		_, ok := v.(float64)
		return v, ok || v == nil
	case truthKind:
		_, ok := v.(bool)
		return v, ok
	}
	return v, isText || v == nil
}

// sfRecord finds the record of a path; what this person cannot see is not there.
func (s *Sandbox) sfRecord(w http.ResponseWriter, r *http.Request, p person) (table, record, bool) {
	for _, t := range s.crm(p) {
		if !strings.EqualFold(t.name, r.PathValue("object")) {
			continue
		}
		for _, row := range t.rows {
			if id := row["Id"].(string); id == r.PathValue("id") || id[:15] == r.PathValue("id") {
				return t, row, true
			}
		}
	}
	sfNothing(w, r, p)
	return table{}, nil, false
}

// sfRead is GET /sobjects/{object}/{id}, with the fields that are asked for.
func (s *Sandbox) sfRead(w http.ResponseWriter, r *http.Request, p person) {
	t, row, found := s.sfRecord(w, r, p)
	if !found {
		return
	}
	out := reply{"attributes": attributes(t.name, row, r.PathValue("version")), "Id": row["Id"]}
	for name := range strings.SplitSeq(r.URL.Query().Get("fields"), ",") {
		col, known := t.column(name)
		if !known {
			sfError(w, http.StatusBadRequest, "INVALID_FIELD", "No such column '"+name+"' on sobject of type "+t.name)
			return
		}
		out[col.name] = shown(row[col.name], col.kind)
	}
	writeJSON(w, http.StatusOK, out)
}

// sfUpdate is PATCH /sobjects/{object}/{id}: all of it or nothing.
func (s *Sandbox) sfUpdate(w http.ResponseWriter, r *http.Request, p person) {
	t, row, found := s.sfRecord(w, r, p)
	if !found {
		return
	}
	var given map[string]any
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		sfError(w, http.StatusBadRequest, "JSON_PARSER_ERROR", "The HTTP entity body is required, but this request has no entity body.")
		return
	}
	values := map[string]any{}
	for name, v := range given {
		col, code := t.writable(name, v)
		if code != "" {
			sfError(w, http.StatusBadRequest, code, "Field: "+name)
			return
		}
		values[col.name] = v
	}
	s.update(func(st *state) { st.edit(row["Id"].(string), values, s.cfg.Now()) })
	w.WriteHeader(http.StatusNoContent)
}

// writable answers the column, or the code of Salesforce's refusal.
func (t table) writable(name string, v any) (column, string) {
	col, known := t.column(name)
	switch _, fits := col.read(v); {
	case !known:
		return col, "INVALID_FIELD"
	case slices.Contains(fixed(), col.name) || t.name == "User" || col.name == "Name" && (t.name == "Contact" || t.name == "Lead"):
		return col, "INVALID_FIELD_FOR_INSERT_UPDATE"
	case !fits:
		return col, "JSON_PARSER_ERROR"
	case v == nil && (col.name == "Name" || col.name == "StageName" || col.name == "CloseDate"):
		return col, "REQUIRED_FIELD_MISSING"
	}
	if stage, isText := v.(string); isText && col.name == "StageName" {
		if _, known := chances()[stage]; !known {
			return col, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
		}
	}
	return col, ""
}

func (st *state) edit(id string, values map[string]any, at time.Time) {
	e := st.Edits[id]
	if e == nil {
		e = &edit{Values: map[string]any{}}
		st.Edits[id] = e
	}
	maps.Copy(e.Values, values)
	e.At = at
}
