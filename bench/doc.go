// Package bench measures what DESIGN's budgets speak of. Nothing is asserted
// here: a figure belongs to a machine. Run
//
//	go test -run '^$' -bench . ./bench
//
// Each benchmark reports operations per second and the 50th and 99th percentile
// of one operation. The vault is a real one on a real SQLite file, with the
// settings of every vault; the vendor is a small server on loopback.
//
// Beside it: soak (load, kills and freezes for minutes), crash (the same as tests,
// at every step of a refresh), and fleet, which both are made of.
package bench
