package sandbox

import "strings"

type tokenKind int

const (
	endToken     tokenKind = iota
	wordToken              // names and keywords, with dots: Account.Name
	literalToken           // numbers, dates, LAST_N_DAYS:30
	stringToken
	signToken
)

type soqlToken struct {
	kind   tokenKind
	text   string // of a string: what it means
	quoted bool
	at     int
}

// soqlTokens cuts a query up. The last token is the end.
func soqlTokens(q string) ([]soqlToken, *soqlError) {
	var out []soqlToken
	for i := 0; i < len(q); {
		c := q[i]
		n := 1
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case c == '\'':
			t, bad := soqlString(q, i)
			if bad != nil {
				return nil, bad
			}
			out = append(out, t.token)
			i += t.length
			continue
		case letter(c):
			n = span(q[i:], func(c byte) bool { return letter(c) || digit(c) || c == '.' || c == ':' })
			t := soqlToken{kind: wordToken, text: q[i : i+n], at: i}
			if strings.Contains(t.text, ":") {
				t.kind = literalToken
			}
			out = append(out, t)
		case digit(c), c == '-' && i+1 < len(q) && digit(q[i+1]):
			n = 1 + span(q[i+1:], func(c byte) bool { return letter(c) || digit(c) || strings.IndexByte(".:+-", c) >= 0 })
			out = append(out, soqlToken{kind: literalToken, text: q[i : i+n], at: i})
		case strings.IndexByte("=!<>", c) >= 0:
			n = span(q[i:], func(c byte) bool { return strings.IndexByte("=!<>", c) >= 0 })
			out = append(out, soqlToken{kind: signToken, text: q[i : i+n], at: i})
		case strings.IndexByte(",()*+-/\";", c) >= 0:
			out = append(out, soqlToken{kind: signToken, text: q[i : i+1], at: i})
		default:
			return nil, &soqlError{"MALFORMED_QUERY", "line 1:" + "unexpected character in the query"}
		}
		i += n
	}
	return append(out, soqlToken{at: len(q)}), nil
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func span(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

type soqlText struct {
	token  soqlToken
	length int
}

// soqlString reads a quoted string. \% and \_ keep their backslash, for LIKE.
func soqlString(q string, at int) (soqlText, *soqlError) {
	var b strings.Builder
	for i := at + 1; i < len(q); i++ {
		switch c := q[i]; c {
		case '\'':
			return soqlText{soqlToken{kind: stringToken, text: b.String(), quoted: true, at: at}, i + 1 - at}, nil
		case '\\':
			i++
			if i == len(q) {
				continue
			}
			plain, known := map[byte]string{
				'n': "\n", 'N': "\n", 'r': "\r", 'R': "\r", 't': "\t", 'T': "\t", 'b': "\b", 'B': "\b", 'f': "\f", 'F': "\f",
				'"': `"`, '\'': "'", '\\': `\`, '%': `\%`, '_': `\_`,
			}[q[i]]
			if !known {
				return soqlText{}, &soqlError{"MALFORMED_QUERY", "Illegal escape sequence '\\" + string(q[i]) + "' in string"}
			}
			b.WriteString(plain)
		default:
			b.WriteByte(c)
		}
	}
	return soqlText{}, &soqlError{"MALFORMED_QUERY", "Found an unterminated string literal"}
}
