// Package instance lets the processes of one vault on one machine prove to each
// other that one of them is gone, without trusting process ids: each holds a lock
// on a file of its own for life, and whoever can take it knows.
//
// The files are no part of the database: opening that one would drop SQLite's locks.
package instance
