package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type test func(record) bool

// condition is a chain of tests joined by AND or by OR. A mix needs parentheses.
func (p *soqlParser) condition() (func(record) bool, *soqlError) {
	first, bad := p.one()
	if bad != nil {
		return nil, bad
	}
	all := []test{first}
	joint := ""
	for p.peek("AND") || p.peek("OR") {
		if joint == "" {
			joint = strings.ToUpper(p.toks[0].text)
		}
		if !p.accept(joint) {
			return nil, p.unexpected()
		}
		next, bad := p.one()
		if bad != nil {
			return nil, bad
		}
		all = append(all, next)
	}
	holds := func(r record) func(test) bool { return func(t test) bool { return t(r) } }
	if joint == "OR" {
		return func(r record) bool { return slices.ContainsFunc(all, holds(r)) }, nil
	}
	return func(r record) bool { return !slices.ContainsFunc(all, func(t test) bool { return !t(r) }) }, nil
}

func (p *soqlParser) one() (test, *soqlError) {
	if p.accept("NOT") {
		t, bad := p.one()
		if bad != nil {
			return nil, bad
		}
		return func(r record) bool { return !t(r) }, nil
	}
	if p.accept("(") {
		t, bad := p.condition()
		if bad == nil && !p.accept(")") {
			bad = p.unexpected()
		}
		return t, bad
	}
	f, bad := p.field()
	if bad != nil {
		return nil, bad
	}
	not := p.accept("NOT")
	switch {
	case p.accept("IN"):
		return p.in(f, not)
	case not:
		return nil, p.unexpected()
	case p.accept("LIKE"):
		return p.like(f)
	}
	op := p.toks[0]
	if op.kind != signToken || !slices.Contains([]string{"=", "!=", "<>", "<", "<=", ">", ">="}, op.text) {
		return nil, p.unexpected()
	}
	p.next()
	v, bad := p.value(f)
	if bad != nil {
		return nil, bad
	}
	return func(r record) bool { return v.holds(op.text, f.of(r)) }, nil
}

func (p *soqlParser) in(f path, not bool) (test, *soqlError) {
	if !p.accept("(") {
		return nil, p.unexpected()
	}
	var list []operand
	for {
		v, bad := p.value(f)
		if bad != nil {
			return nil, bad
		}
		list = append(list, v)
		if p.accept(")") {
			break
		}
		if !p.accept(",") {
			return nil, p.unexpected()
		}
	}
	return func(r record) bool {
		have := f.of(r)
		return slices.ContainsFunc(list, func(v operand) bool { return v.holds("=", have) }) != not
	}, nil
}

// like has % for anything and _ for one character, and ignores case.
func (p *soqlParser) like(f path) (test, *soqlError) {
	t := p.toks[0]
	if f.kind != textKind {
		return nil, &soqlError{"INVALID_FIELD", fmt.Sprintf("invalid operator on %s field", f.kind)}
	}
	if t.kind != stringToken {
		return nil, p.unexpected()
	}
	p.next()
	var b strings.Builder
	b.WriteString(`(?is)^`)
	for i := 0; i < len(t.text); i++ {
		switch c := t.text[i]; {
		case c == '\\' && i+1 < len(t.text) && (t.text[i+1] == '%' || t.text[i+1] == '_'):
			i++
			b.WriteByte(t.text[i])
		case c == '%':
			b.WriteString(`.*`)
		case c == '_':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	re, err := regexp.Compile(b.String() + `$`)
	if err != nil {
		return nil, &soqlError{"MALFORMED_QUERY", "the pattern cannot be read"}
	}
	return func(r record) bool { have, _ := f.of(r).(string); return re.MatchString(have) }, nil
}

// operand is a value to compare with: null, one value, or a stretch of time [value, until).
type operand struct {
	value any
	until time.Time
}

// holds compares what a record has with the operand. Null is equal to null only, and less than nothing.
func (o operand) holds(op string, have any) bool {
	if have == nil || o.value == nil {
		same := have == nil && o.value == nil
		return op == "=" && same || (op == "!=" || op == "<>") && !same
	}
	if o.until.IsZero() {
		return ordered(op, compareValues(have, o.value))
	}
	at, from := have.(time.Time), o.value.(time.Time)
	switch {
	case at.Before(from):
		return ordered(op, -1)
	case !at.Before(o.until):
		return ordered(op, 1)
	}
	return ordered(op, 0)
}

// value reads a literal that fits the field's kind.
func (p *soqlParser) value(f path) (operand, *soqlError) {
	t := p.toks[0]
	if t.kind == signToken || t.kind == endToken {
		return operand{}, p.unexpected()
	}
	p.next()
	if t.kind == wordToken && strings.EqualFold(t.text, "null") {
		return operand{}, nil
	}
	if o, ok := literal(t, f.kind, p.now); ok {
		return o, nil
	}
	how := "should not be enclosed in quotes"
	if f.kind == textKind {
		how = "should be enclosed in quotes"
	}
	return operand{}, &soqlError{"INVALID_FIELD", p.at(t) + fmt.Sprintf("value of filter criterion for field '%s' must be of type %s and %s", f.steps[len(f.steps)-1], f.kind, how)}
}

func literal(t soqlToken, k kind, now time.Time) (operand, bool) {
	if t.quoted || k == textKind {
		plain := strings.NewReplacer(`\%`, "%", `\_`, "_").Replace(t.text)
		return operand{value: plain}, t.quoted && k == textKind
	}
	switch k {
	case numberKind:
		n, err := strconv.ParseFloat(t.text, 64)
		return operand{value: n}, err == nil && t.kind == literalToken
	case truthKind:
		return operand{value: strings.EqualFold(t.text, "true")}, strings.EqualFold(t.text, "true") || strings.EqualFold(t.text, "false")
	}
	if from, until, known := dateLiteral(t.text, now); known {
		return operand{from, until}, true
	}
	layout := time.DateOnly
	if k == momentKind {
		layout = time.RFC3339
	}
	at, err := time.Parse(layout, t.text)
	return operand{value: at}, err == nil
}
