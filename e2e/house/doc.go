// Package house holds the rules of this house: tests over the repository
// itself, not over what it does.
//
//	imports_test.go       who may import whom, of ours and of others'
//	sizes_test.go         lines of functions and files
//	names_test.go         package comments, doc comments, no init, no mutable package variables
//	reveal_test.go        who may take a secret out of its wrapper
//	commands_test.go      what the README tells people to type exists
//	requirements_test.go  docs/security-requirements.md, generated from requirements.tsv and the tests
//	tools_test.go         docs/tools.md, generated from what a client sees
//
// `go test ./e2e/house -update` (make generate) writes the generated files; a
// plain run fails when one of them is stale. The package has no code of its own
// beside its tests. Nothing imports it.
package house
