// Package tooltest is how tools are tested: golden files of what a client sees
// of them, tables of arguments that must be refused, and calls against a vendor
// that the test plays. Only tests import it.
package tooltest
