// Command soak runs several processes of one vault under load for a while, kills
// and freezes them at random, and compares what is lost with the vendor's books.
//
//	go run ./bench/soak -for 3m
//
// It prints a line every 10 s and a summary, and fails when a grant was lost that
// need not have been lost. With the argument "worker" it is one of those processes.
package main
