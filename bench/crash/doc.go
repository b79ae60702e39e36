// Package crash kills and freezes real processes of a vault in the middle of a
// refresh, restarts them, and compares what they then say with the vendor's books.
//
//	go test ./bench/crash                     a sweep over all steps, and a few races
//	GRANTRY_CRASH_ROUNDS=100 go test ./bench/crash -run Race
//
// The processes are built with the tag failpoints, so that they can die at a named
// step of vault's refresh. A step that is never reached fails the sweep.
package crash
