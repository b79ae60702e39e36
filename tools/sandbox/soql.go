package sandbox

import (
	"slices"
	"strings"
	"time"
)

// kind is what a column holds.
type kind string

const (
	textKind   kind = "string"
	numberKind kind = "double"
	truthKind  kind = "boolean"
	dayKind    kind = "date"
	momentKind kind = "dateTime"
)

// record is a row: values by column name, and parent records by relationship name. An absent value is null.
type record map[string]any

// column is a field of an object.
type column struct {
	name string
	kind kind
}

// table is an object with its fields, its relationships (name -> object) and what the person can see of it.
type table struct {
	name    string
	columns []column
	parents map[string]string
	rows    []record
}

// soqlError is a refusal in Salesforce's words.
type soqlError struct{ code, message string }

// result is what a query gave. total is the number of all records, also where COUNT() gives none.
type result struct {
	total   int
	records []reply
}

// path is a field to read: relationship names and, last, the column.
type path struct {
	steps []string
	kind  kind
}

func (p path) of(r record) any {
	for _, step := range p.steps[:len(p.steps)-1] {
		parent, there := r[step].(record)
		if !there {
			return nil
		}
		r = parent
	}
	return r[p.steps[len(p.steps)-1]]
}

// soql evaluates a query over the tables. What it knows: SELECT of fields (also of parents, as
// Account.Name), COUNT() and COUNT(field); WHERE with = != <> < <= > >= LIKE, IN, NOT IN, AND, OR, NOT and
// parentheses, strings, numbers, booleans, null, dates and date literals; ORDER BY, LIMIT, OFFSET. The rest
// of the language is refused as malformed, never guessed at.
func soql(query string, tables []table, version string, now time.Time) (result, *soqlError) {
	q, bad := parseSOQL(query, tables, now)
	if bad != nil {
		return result{}, bad
	}
	var hits []record
	for _, row := range q.from.rows {
		if q.where == nil || q.where(row) {
			hits = append(hits, row)
		}
	}
	slices.SortStableFunc(hits, q.compare)
	hits = hits[min(q.offset, len(hits)):]
	if q.limit >= 0 {
		hits = hits[:min(q.limit, len(hits))]
	}
	switch {
	case q.countAll:
		return result{total: len(hits), records: []reply{}}, nil
	case q.count != nil:
		n := 0
		for _, r := range hits {
			if q.count.of(r) != nil {
				n++
			}
		}
		return result{total: 1, records: []reply{{"attributes": reply{"type": "AggregateResult"}, "expr0": n}}}, nil
	}
	out := result{total: len(hits), records: make([]reply, len(hits))}
	for i, r := range hits {
		out.records[i] = q.project(r, version)
	}
	return out, nil
}

// project is the record in the API's form: the selected fields, parents nested.
func (q *soqlQuery) project(r record, version string) reply {
	out := reply{"attributes": attributes(q.from.name, r, version)}
	for _, p := range q.fields {
		if len(p.steps) == 1 {
			out[p.steps[0]] = shown(p.of(r), p.kind)
			continue
		}
		relation := p.steps[0]
		parent, there := r[relation].(record)
		if !there {
			out[relation] = nil
			continue
		}
		nested, have := out[relation].(reply)
		if !have {
			nested = reply{"attributes": attributes(q.from.parents[relation], parent, version)}
			out[relation] = nested
		}
		nested[p.steps[1]] = shown(p.of(r), p.kind)
	}
	return out
}

func attributes(object string, r record, version string) reply {
	id, _ := r["Id"].(string)
	return reply{"type": object, "url": "/services/data/" + version + "/sobjects/" + object + "/" + id}
}

// shown is a value as JSON has it.
func shown(v any, k kind) any {
	at, isTime := v.(time.Time)
	switch {
	case isTime && k == dayKind:
		return at.Format(time.DateOnly)
	case isTime:
		return at.UTC().Format("2006-01-02T15:04:05.000-0700")
	}
	return v
}

// compare orders two records by ORDER BY.
func (q *soqlQuery) compare(a, b record) int {
	for _, o := range q.order {
		x, y := o.path.of(a), o.path.of(b)
		var c int
		switch {
		case x == nil && y == nil:
			continue
		case x == nil || y == nil:
			if c = 1; (x == nil) == o.nullsFirst {
				c = -1
			}
			return c
		default:
			c = compareValues(x, y)
		}
		if o.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// compareValues orders two values of one kind; strings without regard to case.
func compareValues(x, y any) int {
	switch x := x.(type) {
	case string:
		return strings.Compare(strings.ToLower(x), strings.ToLower(y.(string)))
	case float64:
		switch y := y.(float64); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	case bool:
		switch y := y.(bool); {
		case !x && y:
			return -1
		case x && !y:
			return 1
		}
	case time.Time:
		return x.Compare(y.(time.Time))
	}
	return 0
}
