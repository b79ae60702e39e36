// Package datadir prepares the folder that a vault lives in: private to its
// owner, on a file system that SQLite can lock, and marked if it belongs to
// the sandbox, so that a demonstration and a real vault never mix.
//
// It makes and checks the folder and its marker, and touches nothing else in it.
package datadir
