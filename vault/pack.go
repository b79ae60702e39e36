package vault

import "encoding/binary"

// fields writes what is named to it into bytes, or reads it from them: one list of fields serves both.
// It is no interface, so that what is named stays where it is.
type fields struct {
	b       []byte
	reading bool
	text    string // b once more: what is read of texts are parts of it
	at      int
	bad     bool // there was less than was asked for
}

func (f *fields) texts(all ...*string) {
	for _, s := range all {
		if !f.reading {
			f.b = append(binary.AppendUvarint(f.b, uint64(len(*s))), *s...)
			continue
		}
		from, to := f.part(f.length())
		*s = f.text[from:to]
	}
}

// flags are eight at most.
func (f *fields) flags(all ...*bool) {
	var bits int64
	for i, b := range all {
		if *b {
			bits |= 1 << i
		}
	}
	f.numbers(&bits)
	for i, b := range all {
		*b = bits&(1<<i) != 0
	}
}

func (f *fields) numbers(all ...*int64) {
	for _, n := range all {
		if !f.reading {
			f.b = binary.AppendVarint(f.b, *n)
			continue
		}
		v, size := binary.Varint(f.b[f.at:])
		f.skip(size)
		*n = v
	}
}

// blobs tell nil from an empty one, as lists do: their length counts from 1.
func (f *fields) blobs(all ...*[]byte) {
	for _, b := range all {
		switch {
		case f.reading:
			*b = nil
			if n := f.length(); n > 0 {
				from, to := f.part(n - 1)
				*b = f.b[from:to:to]
			}
		case *b == nil:
			f.b = append(f.b, 0)
		default:
			f.b = append(binary.AppendUvarint(f.b, uint64(len(*b))+1), *b...)
		}
	}
}

func (f *fields) lists(all ...*[]string) {
	for _, l := range all {
		switch {
		case f.reading:
			*l = nil
			n := f.length()
			if f.bad = f.bad || n > uint64(len(f.b)-f.at)+1; n == 0 || f.bad {
				continue
			}
			*l = make([]string, n-1)
		case *l == nil:
			f.b = append(f.b, 0)
			continue
		default:
			f.b = binary.AppendUvarint(f.b, uint64(len(*l))+1)
		}
		for i := range *l {
			f.texts(&(*l)[i])
		}
	}
}

func (f *fields) length() uint64 {
	n, size := binary.Uvarint(f.b[f.at:])
	f.skip(size)
	return n
}

// skip goes on behind a number of that size, which is not above 0 for one that is cut off.
func (f *fields) skip(size int) {
	f.bad = f.bad || size <= 0
	f.at += max(size, 0)
}

// part goes on by n bytes, and answers from where to where.
func (f *fields) part(n uint64) (from, to int) {
	if n > uint64(len(f.b)-f.at) {
		f.bad = true
		return f.at, f.at
	}
	from = f.at
	f.at += int(n)
	return from, f.at
}
