package sandbox

import (
	"slices"
	"strings"
	"time"
)

// matcher is a Drive search expression, ready to be asked.
type matcher func(file) bool

// parseDriveQuery reads the q grammar: terms with contains, =, !=, <, >, in, has "and", "or", "not" and
// parentheses, strings in single quotes with \' and \\. content says whether fullText may look inside
// files; with a metadata scope it sees names only. False for what Drive would call an invalid value.
func parseDriveQuery(raw string, content bool) (matcher, bool) {
	if strings.TrimSpace(raw) == "" {
		return func(file) bool { return true }, true
	}
	toks, ok := driveTokens(raw)
	if !ok {
		return nil, false
	}
	p := &driveParser{toks: toks, content: content}
	m := p.or()
	return m, m != nil && len(p.toks) == 0
}

type driveToken struct {
	text   string
	quoted bool
}

func driveTokens(raw string) (out []driveToken, ok bool) {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			i++
		case c == '\'':
			text, n := driveString(raw[i:])
			if n == 0 {
				return nil, false
			}
			out = append(out, driveToken{text, true})
			i += n
		case c == '(' || c == ')':
			out = append(out, driveToken{text: string(c)})
			i++
		case strings.ContainsRune("=!<>", rune(c)):
			n := 1
			if i+1 < len(raw) && raw[i+1] == '=' {
				n = 2
			}
			out = append(out, driveToken{text: raw[i : i+n]})
			i += n
		default:
			n := strings.IndexAny(raw[i:], " \t\n'()=!<>")
			if n < 0 {
				n = len(raw) - i
			}
			out = append(out, driveToken{text: raw[i : i+n]})
			i += n
		}
	}
	return out, true
}

// driveString reads a quoted string and says how long it was; 0 if it does not end.
func driveString(raw string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\'':
			return b.String(), i + 1
		case '\\':
			i++
			if i < len(raw) {
				b.WriteByte(raw[i])
			}
		default:
			b.WriteByte(raw[i])
		}
	}
	return "", 0
}

type driveParser struct {
	toks    []driveToken
	content bool
}

func (p *driveParser) accept(word string) bool {
	if len(p.toks) == 0 || p.toks[0].quoted || !strings.EqualFold(p.toks[0].text, word) {
		return false
	}
	p.toks = p.toks[1:]
	return true
}

func (p *driveParser) next() (driveToken, bool) {
	if len(p.toks) == 0 {
		return driveToken{}, false
	}
	t := p.toks[0]
	p.toks = p.toks[1:]
	return t, true
}

func (p *driveParser) or() matcher {
	left := p.and()
	for left != nil && p.accept("or") {
		a, b := left, p.and()
		if b == nil {
			return nil
		}
		left = func(f file) bool { return a(f) || b(f) }
	}
	return left
}

func (p *driveParser) and() matcher {
	left := p.one()
	for left != nil && p.accept("and") {
		a, b := left, p.one()
		if b == nil {
			return nil
		}
		left = func(f file) bool { return a(f) && b(f) }
	}
	return left
}

func (p *driveParser) one() matcher {
	switch {
	case p.accept("not"):
		m := p.one()
		if m == nil {
			return nil
		}
		return func(f file) bool { return !m(f) }
	case p.accept("("):
		m := p.or()
		if m == nil || !p.accept(")") {
			return nil
		}
		return m
	}
	field, there := p.next()
	op, more := p.next()
	value, last := p.next()
	if !there || !more || !last || op.quoted {
		return nil
	}
	if field.quoted {
		return collection(field.text, op.text, value)
	}
	return p.term(field.text, op.text, value)
}

// collection is 'x' in parents and 'x' in owners.
func collection(member, op string, of driveToken) matcher {
	switch {
	case of.quoted || !strings.EqualFold(op, "in"):
		return nil
	case of.text == "parents":
		return func(f file) bool { return f.folder == member }
	case of.text == "owners":
		return func(f file) bool { p, _ := findPerson(f.owner); return p.email == member }
	}
	return nil
}

func (p *driveParser) term(field, op string, v driveToken) matcher {
	switch {
	case field == "trashed" || field == "sharedWithMe" || field == "starred":
		return flag(field, op, v)
	case !v.quoted:
		return nil
	case field == "fullText" && op == "contains":
		return p.fullText(v.text)
	case field == "name":
		return textual(op, v.text, func(f file) string { return f.name }, prefixes)
	case field == "mimeType":
		return textual(op, v.text, func(f file) string { return f.mime }, strings.HasPrefix)
	case field == "modifiedTime" || field == "createdTime" || field == "viewedByMeTime":
		return dated(op, v.text)
	}
	return nil
}

func flag(field, op string, v driveToken) matcher {
	if op != "=" || v.quoted || v.text != "true" && v.text != "false" {
		return nil
	}
	return func(f file) bool {
		have := map[string]bool{"trashed": f.trashed, "sharedWithMe": f.shared}[field]
		return have == (v.text == "true")
	}
}

func textual(op, want string, of func(file) string, contains func(have, want string) bool) matcher {
	switch op {
	case "=":
		return func(f file) bool { return of(f) == want }
	case "!=":
		return func(f file) bool { return of(f) != want }
	case "contains":
		return func(f file) bool { return contains(of(f), want) }
	}
	return nil
}

// prefixes is "contains" for names: each word asked for begins a word of the name.
func prefixes(name, want string) bool {
	have := words(name)
	return !slices.ContainsFunc(words(want), func(w string) bool {
		return !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) })
	})
}

// fullText finds files that hold all the words, or in double quotes the words in a row.
func (p *driveParser) fullText(want string) matcher {
	phrase := len(want) > 1 && strings.HasPrefix(want, `"`) && strings.HasSuffix(want, `"`)
	asked := words(want)
	return func(f file) bool {
		text := f.name
		if p.content {
			text += "\n" + f.about + "\n" + f.indexed()
		}
		have := words(text)
		if phrase {
			return strings.Contains(" "+strings.Join(have, " ")+" ", " "+strings.Join(asked, " ")+" ")
		}
		return !slices.ContainsFunc(asked, func(w string) bool { return !slices.Contains(have, w) })
	}
}

func dated(op, raw string) matcher {
	at, err := time.Parse(time.RFC3339, raw)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05", raw)
	}
	if err != nil {
		at, err = time.Parse(time.DateOnly, raw)
	}
	if err != nil || !slices.Contains([]string{"<", "<=", "=", "!=", ">", ">="}, op) {
		return nil
	}
	return func(f file) bool { return ordered(op, f.modified.Compare(at)) }
}

// ordered applies a comparison operator to a three-way result.
func ordered(op string, c int) bool {
	switch op {
	case "=":
		return c == 0
	case "!=", "<>":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}
