package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// soqlQuery is a parsed query, its names resolved.
type soqlQuery struct {
	from     table
	fields   []path
	countAll bool
	count    *path
	where    func(record) bool
	order    []ordering
	limit    int // -1: none
	offset   int
}

type ordering struct {
	path             path
	desc, nullsFirst bool
}

type soqlParser struct {
	query  string
	toks   []soqlToken
	tables []table
	from   table
	now    time.Time
}

// parseSOQL reads FROM first, because the fields before it can only be resolved then.
func parseSOQL(query string, tables []table, now time.Time) (*soqlQuery, *soqlError) {
	toks, bad := soqlTokens(query)
	if bad != nil {
		return nil, bad
	}
	p := &soqlParser{query: query, toks: toks, tables: tables, now: now}
	if !p.accept("SELECT") {
		return nil, p.unexpected()
	}
	selection := p.toks
	for !p.peek("FROM") {
		if p.end() || p.peek("SELECT") { // a subquery among the fields
			return nil, p.unexpected()
		}
		p.toks = p.toks[1:]
	}
	p.accept("FROM")
	if bad := p.object(); bad != nil {
		return nil, bad
	}
	q := &soqlQuery{from: p.from, limit: -1}
	rest := p.toks
	p.toks = selection
	if bad := p.selection(q); bad != nil {
		return nil, bad
	}
	p.toks = rest
	if bad := p.clauses(q); bad != nil {
		return nil, bad
	}
	return q, nil
}

func (p *soqlParser) peek(word string) bool {
	return !p.toks[0].quoted && strings.EqualFold(p.toks[0].text, word)
}

func (p *soqlParser) end() bool { return p.toks[0].text == "" && !p.toks[0].quoted }

func (p *soqlParser) accept(word string) bool {
	if !p.peek(word) {
		return false
	}
	p.toks = p.toks[1:]
	return true
}

func (p *soqlParser) next() soqlToken {
	t := p.toks[0]
	if !p.end() {
		p.toks = p.toks[1:]
	}
	return t
}

// unexpected is about the token that comes next.
func (p *soqlParser) unexpected() *soqlError {
	if p.end() {
		return &soqlError{"MALFORMED_QUERY", "unexpected token: <EOF>"}
	}
	message := fmt.Sprintf("unexpected token: '%s'", p.toks[0].text)
	if slices.ContainsFunc([]string{"(", "SELECT", "GROUP", "HAVING", "FOR", "WITH", "USING", "TYPEOF"}, p.peek) {
		message += " (the sandbox's SOQL has no functions but COUNT, no subqueries and no GROUP BY; the real one has)"
	}
	return &soqlError{"MALFORMED_QUERY", message}
}

// at is the beginning of Salesforce's longer messages: the place in the query.
func (p *soqlParser) at(t soqlToken) string {
	from := max(0, t.at-20)
	to := min(len(p.query), t.at+len(t.text)+20)
	line := strings.ReplaceAll(p.query[from:to], "\n", " ")
	return fmt.Sprintf("\n%s\n%s^\nERROR at Row:1:Column:%d\n", line, strings.Repeat(" ", t.at-from), t.at+1)
}

func (p *soqlParser) object() *soqlError {
	t := p.toks[0]
	if t.kind != wordToken {
		return p.unexpected()
	}
	p.next()
	i := slices.IndexFunc(p.tables, func(tb table) bool { return strings.EqualFold(tb.name, t.text) })
	if i < 0 {
		return &soqlError{"INVALID_TYPE", p.at(t) + fmt.Sprintf("sObject type '%s' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.", t.text)}
	}
	p.from = p.tables[i]
	return nil
}

// field resolves "Name" or "Account.Name".
func (p *soqlParser) field() (path, *soqlError) {
	t := p.toks[0]
	if t.kind != wordToken {
		return path{}, p.unexpected()
	}
	p.next()
	if p.peek("(") { // a function
		return path{}, p.unexpected()
	}
	in := p.from
	var out path
	names := strings.Split(t.text, ".")
	if len(names) > 1 && strings.EqualFold(names[0], p.from.name) && p.from.parents[p.from.name] == "" {
		names = names[1:] // Account.Name FROM Account
	}
	for _, relation := range names[:len(names)-1] {
		target := ""
		for known, object := range in.parents {
			if strings.EqualFold(known, relation) {
				out.steps, target = append(out.steps, known), object
			}
		}
		i := slices.IndexFunc(p.tables, func(tb table) bool { return tb.name == target })
		if i < 0 {
			return path{}, &soqlError{"INVALID_FIELD", p.at(t) + fmt.Sprintf("Didn't understand relationship '%s' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.", relation)}
		}
		in = p.tables[i]
	}
	last := names[len(names)-1]
	for _, c := range in.columns {
		if strings.EqualFold(c.name, last) && len(out.steps) <= 1 {
			return path{append(out.steps, c.name), c.kind}, nil
		}
	}
	return path{}, &soqlError{"INVALID_FIELD", p.at(t) + fmt.Sprintf("No such column '%s' on entity '%s'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.", last, in.name)}
}

// selection reads what stands between SELECT and FROM.
func (p *soqlParser) selection(q *soqlQuery) *soqlError {
	if p.peek("COUNT") {
		return p.counting(q)
	}
	for {
		name := p.toks[0].text
		f, bad := p.field()
		if bad != nil {
			return bad
		}
		if slices.ContainsFunc(q.fields, func(o path) bool { return slices.Equal(o.steps, f.steps) }) {
			return &soqlError{"INVALID_FIELD", "duplicate field selected: " + name}
		}
		q.fields = append(q.fields, f)
		switch {
		case p.accept(","):
		case p.peek("FROM"):
			return nil
		default: // functions, aliases
			return p.unexpected()
		}
	}
}

func (p *soqlParser) counting(q *soqlQuery) *soqlError {
	p.next()
	if !p.accept("(") {
		return p.unexpected()
	}
	if p.accept(")") {
		q.countAll = true
	} else {
		f, bad := p.field()
		if bad != nil {
			return bad
		}
		q.count = &f
		if !p.accept(")") {
			return p.unexpected()
		}
	}
	if !p.peek("FROM") {
		return p.unexpected()
	}
	return nil
}

func (p *soqlParser) clauses(q *soqlQuery) (bad *soqlError) {
	if p.accept("WHERE") {
		if q.where, bad = p.condition(); bad != nil {
			return bad
		}
	}
	if p.accept("ORDER") {
		if bad = p.ordering(q); bad != nil {
			return bad
		}
	}
	if p.accept("LIMIT") {
		if q.limit, bad = p.count(); bad != nil {
			return bad
		}
	}
	if p.accept("OFFSET") {
		if q.offset, bad = p.count(); bad != nil {
			return bad
		}
		if q.offset > 2000 {
			return &soqlError{"NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"}
		}
	}
	if !p.end() {
		return p.unexpected()
	}
	return nil
}

func (p *soqlParser) count() (int, *soqlError) {
	n, err := strconv.Atoi(p.toks[0].text)
	if err != nil || n < 0 || p.toks[0].kind != literalToken {
		return 0, p.unexpected()
	}
	p.next()
	return n, nil
}

// ordering is ORDER BY; nulls come first unless the query says otherwise, whatever the direction.
func (p *soqlParser) ordering(q *soqlQuery) *soqlError {
	if !p.accept("BY") {
		return p.unexpected()
	}
	for {
		f, bad := p.field()
		if bad != nil {
			return bad
		}
		o := ordering{path: f, nullsFirst: true}
		if !p.accept("ASC") {
			o.desc = p.accept("DESC")
		}
		if p.accept("NULLS") {
			o.nullsFirst = p.accept("FIRST")
			if !o.nullsFirst && !p.accept("LAST") {
				return p.unexpected()
			}
		}
		q.order = append(q.order, o)
		if !p.accept(",") {
			return nil
		}
	}
}
