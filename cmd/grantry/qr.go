package main

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the light border that a scanner needs, in modules (ISO/IEC 18004 asks for four; on a terminal two read as well).
const quiet = 2

// printQR draws text, two rows of modules in a line. What cannot be drawn is left out: the text stands beside it.
func (e *env) printQR(text string) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return
	}
	fmt.Fprintln(e.out, drawn(code))
}

func drawn(code *qr.Code) string {
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  ")
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(blocks[code.Black(x, y)][code.Black(x, y+1)])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// blocks are two modules, by whether the upper and the lower one are dark: light is drawn, as terminals are mostly dark.
var blocks = map[bool]map[bool]string{
	true:  {true: " ", false: "▄"},
	false: {true: "▀", false: "█"},
}
