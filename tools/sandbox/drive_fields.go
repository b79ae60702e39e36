package sandbox

import "strings"

// fieldSet is a partial-response selection: "nextPageToken,files(id,owners/displayName)". A leaf has no
// entries and takes all that is below it; so does "*".
type fieldSet map[string]fieldSet

// parseFields reads a selection. It is loose: what it cannot read selects nothing.
func parseFields(raw string) fieldSet {
	p := &fieldParser{rest: raw}
	return p.list()
}

type fieldParser struct{ rest string }

func (p *fieldParser) list() fieldSet {
	set := fieldSet{}
	for p.rest != "" {
		at := strings.IndexAny(p.rest, ",()")
		if at < 0 {
			set.add(p.rest, nil)
			p.rest = ""
			return set
		}
		name, mark := p.rest[:at], p.rest[at]
		p.rest = p.rest[at+1:]
		var below fieldSet
		if mark == '(' {
			below = p.list()
		}
		set.add(name, below)
		if mark == ')' {
			return set
		}
	}
	return set
}

// add puts "a/b" with what is below it into the set.
func (f fieldSet) add(path string, below fieldSet) {
	path = strings.TrimSpace(path)
	if path == "" {
		return
	}
	head, tail, deeper := strings.Cut(path, "/")
	if f[head] == nil {
		f[head] = fieldSet{}
	}
	if deeper {
		f[head].add(tail, below)
		return
	}
	for k, v := range below {
		f[head][k] = v
	}
}

// pick keeps the selected fields of an object.
func (f fieldSet) pick(from reply) reply {
	if _, all := f["*"]; all || len(f) == 0 {
		return from
	}
	out := reply{}
	for name, below := range f {
		v, there := from[name]
		if !there {
			continue
		}
		switch v := v.(type) {
		case reply:
			out[name] = below.pick(v)
		case []reply:
			list := make([]reply, len(v))
			for i, one := range v {
				list[i] = below.pick(one)
			}
			out[name] = list
		default:
			out[name] = v
		}
	}
	return out
}
