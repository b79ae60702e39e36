package rescue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	magic   = "\x93gtR\r\n\x1a\x01"
	headLen = len(magic) + 4 + 4
	// maxRecord bounds what a length is believed.
	maxRecord = 4 << 20
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// frame is a payload as it stands in the file.
func frame(payload []byte) []byte {
	b := make([]byte, 0, headLen+len(payload)+4)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload))) //nolint:gosec // at most maxRecord
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, checksum(payload))
}

// records are the payloads of a file, and how many stretches of it are none.
func records(file []byte) (out [][]byte, bad int) {
	for len(file) > 0 {
		at := bytes.Index(file, []byte(magic))
		if at < 0 {
			at = len(file)
		}
		if len(bytes.Trim(file[:at], "\x00")) > 0 {
			bad++
		}
		file = file[at:]
		payload, ok := unframe(file)
		switch {
		case ok:
			out = append(out, payload)
			file = file[headLen+len(payload)+4:]
		case len(file) > 0:
			file = file[1:] // the rest of it counts as the stretch before the next
		}
	}
	return out, bad
}

func unframe(b []byte) ([]byte, bool) {
	if len(b) < headLen+4 || binary.BigEndian.Uint32(b[headLen-4:]) != checksum(b[:headLen-4]) {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(b[len(magic):]))
	if n > maxRecord || len(b) < headLen+n+4 {
		return nil, false
	}
	payload := b[headLen : headLen+n]
	return payload, binary.BigEndian.Uint32(b[headLen+n:]) == checksum(payload)
}
