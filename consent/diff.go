package consent

import "strings"

// line is a line of a text that a call would change.
type line struct {
	Kind string // "was", "becomes", or "" for one that stays
	Text text
}

// maxDiff bounds the table of a comparison; texts beyond it are shown one after the other.
const maxDiff = 1 << 20

// compared is what a change takes away and adds, line by line.
func compared(was, becomes string) []line {
	a, b := linesOf(was), linesOf(becomes)
	head, tail := 0, 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := kept(nil, "", a[:head])
	out = middle(out, a[head:len(a)-tail], b[head:len(b)-tail])
	return kept(out, "", a[len(a)-tail:])
}

func linesOf(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func kept(out []line, kind string, lines []string) []line {
	for _, l := range lines {
		out = append(out, line{Kind: kind, Text: visible(l)})
	}
	return out
}

// middle compares by the longest common subsequence.
func middle(out []line, a, b []string) []line {
	if len(a)*len(b) > maxDiff {
		return kept(kept(out, "was", a), "becomes", b)
	}
	common := make([][]int32, len(a)+1) // common[i][j] is that of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = kept(out, "", a[i:i+1])
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			out = kept(out, "was", a[i:i+1])
			i++
		default:
			out = kept(out, "becomes", b[j:j+1])
			j++
		}
	}
	return kept(kept(out, "was", a[i:]), "becomes", b[j:])
}
