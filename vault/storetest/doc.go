// Package storetest is the contract of vault.Store as tests. A database that
// passes Run and RunShared can hold a vault.
//
// Each part of the interface has its function, so that whoever changes one runs
// that one: RunUsers, RunGrants, RunAccess, RunRecords, RunAudit and
// RunTransactions. RunShared is about several handles on one database, which is
// the normal case: every MCP client starts a process of its own.
//
// Main and Postgres bring a PostgreSQL server to the tests of whoever needs one.
//
// The package imports vault and no implementation. Rows hold bytes that stand
// for ciphertext; a store must not care.
package storetest
