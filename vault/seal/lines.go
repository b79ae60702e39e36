package seal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// codec is how a key stands in a line: plain, or sealed by a KMS.
type codec struct {
	decode func(text string) (Key, error)
	encode func(Key) (string, error)
}

func plainLines() codec {
	return codec{decode: ParseKey, encode: func(k Key) (string, error) { return k.Line(), nil }}
}

// isKey says whether a line holds a key: it is neither blank nor a comment.
func isKey(text string) bool { return text != "" && !strings.HasPrefix(text, "#") }

func (c codec) keys(data []byte) ([]Key, error) {
	var keys []Key
	seen := map[KeyID]int{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if !isKey(text) {
			continue
		}
		key, err := c.decode(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, twice := seen[key.ID()]; twice {
			return nil, fmt.Errorf("line %d: the same key as line %d", n, first)
		}
		seen[key.ID()] = n
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	return keys, nil
}

// read answers the keys in what a source read, or failed to.
func (c codec) read(s Source, data []byte, err error) (keys []Key, _ error) {
	if err == nil {
		keys, err = c.keys(data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	return keys, nil
}

// first answers the lines of a source with one key.
func (c codec) first(key Key) ([]byte, error) {
	text, err := c.encode(key)
	return []byte(comment(key.ID()) + "\n" + text + "\n"), err
}

// with answers data, byte for byte, and key behind it. What holds the key
// already stays as it is.
func (c codec) with(data []byte, key Key) ([]byte, error) {
	keys, err := c.keys(data)
	if err != nil || has(keys, key.ID()) {
		return data, err
	}
	lines, err := c.first(key)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(data)
	if !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	return append(out, lines...), nil
}

// without answers data less the line of key id and the comment that first wrote
// above it. All other lines stay byte for byte.
func (c codec) without(data []byte, id KeyID) ([]byte, error) {
	keys, err := c.keys(data)
	if err != nil || !has(keys, id) {
		return data, err
	}
	if len(keys) == 1 {
		return nil, ErrLastKey
	}
	lines := slices.Collect(bytes.Lines(data))
	for i, line := range lines {
		text := strings.TrimSpace(string(line))
		if !isKey(text) {
			continue
		}
		key, err := c.decode(text)
		if err != nil {
			return nil, err
		}
		if key.ID() != id {
			continue
		}
		from := i
		if i > 0 && strings.TrimSpace(string(lines[i-1])) == comment(id) {
			from--
		}
		return bytes.Join(slices.Delete(lines, from, i+1), nil), nil
	}
	return data, nil
}

// comment is written above a key, so that a person who finds two lines knows
// which is which.
func comment(id KeyID) string {
	return "# Grantry key " + id.String() + ": keep a copy apart from the vault"
}

func has(keys []Key, id KeyID) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return k.ID() == id })
}
