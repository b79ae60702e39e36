// Package sqlstore is vault.Store on a database: on SQLite by the modernc driver,
// on PostgreSQL by pgx. Nothing else imports either.
//
// Rows arrive sealed and leave sealed: the package must not import seal, and a
// test of its own proves nothing about secrets because it never sees one. What it
// promises is durability and isolation: an Update that answers nil is synced, one
// that fails left nothing, and of two writers with the same generation one wins.
//
// # Files
//
//	vault.db         the database, WAL mode, synchronous=FULL, NORMAL where audit entries are appended
//	vault.db-wal     what was committed and not yet moved into the database
//	vault.db-shm     shared memory of the processes that have it open
//	vault.db.lock    held while a process looks at the schema and migrates it
//	vault.db.v1.bak  the database before the migration that followed version 1
//
// What is in the log moves into the database beside the writers, on a connection of its
// own: where SQLite does it, in the commit that makes the log long, all who want to write
// wait for two syncs and a thousand pages, and that was nearly all of the slowest hundredth
// of exchanges. The log has some 8 MiB under the load of one process and 16 under that
// of four, more while a reader stays, and SQLite's own way is taken from 64 MiB.
//
// All are 0600, whatever the umask, in a folder that nobody else can write. No
// file of these is ever opened by this process beside SQLite: closing it would
// drop SQLite's locks. Network file systems are refused by the program before it
// comes here; the locks do not work there.
//
// # PostgreSQL
//
// One schema holds the tables and grantry_schema, the list of migrations. Each new
// connection is checked: synchronous_commit, fsync, full_page_writes, a server that
// can write, UTF-8. Fail-over to a replica that is not synchronous loses the last
// rotated tokens; the program cannot see that. Nor can it see the server's disk: Check
// answers ErrNoSpace for a database file only.
//
// # Transactions
//
// Writers queue for one connection and are alone in the database once they have
// begun, also among processes: code that reads and then writes needs no more. On
// SQLite they begin immediately; on PostgreSQL they take one row FOR UPDATE and
// then see, at READ COMMITTED, all that was committed before. SERIALIZABLE would
// let writers of different rows go side by side, but the audit chain is one row
// that all of them follow: three writers had 1,135 commits a second, of three
// attempts each, against 1,653 with the lock. Readers have four connections that
// cannot write, who waits longest is next, and each View has one snapshot. On SQLite a
// connection keeps its prepared statements and runs them by the driver, BEGIN and COMMIT too:
// database/sql would have a goroutine for the transaction and one for each query in it, and
// copy each value once more. More Views at once than half of the processors gain nothing
// there (Readers): the threads take the processors from each other, for some milliseconds
// each time. Waiting for a connection heeds the
// caller's context; a transaction that has begun does not, because a caller that
// goes away must not roll back a rotated token. An Append takes its turn with the
// writers of this process, on SQLite on a connection of its own, and is answered
// before it is synced: the log is one file, so the next Update's sync is also its own. Other processes may hold the write lock:
// SQLite waits for them, and after that the store tries again. A PostgreSQL server
// ends a writer that is silent for 10 s. When a connection is lost at a commit the
// server is asked what became of it; what it did not store is done again.
// One that has crashed since may have given the transaction's number to another:
// it is believed only in the life in which the transaction ran, else the answer is ErrOutcome.
//
// A transaction that changes what another process may wait for sends a
// notification with its commit; Watch listens for them. Nothing rests on it: a
// notification that is lost costs those who wait some time.
//
// # Queries
//
// Queries are constants beside the functions that scan them, written for
// PostgreSQL too: placeholders $1, $2, … in the order of their first use, listed
// columns, integer milliseconds, integers for booleans. Only the migrations differ,
// one folder per dialect. Open prepares every query, so that a wrong one shows at once.
package sqlstore
