// Package fleet runs several processes of one vault against a vendor that holds
// the truth, so that it can be said of every lost grant whether it had to be lost.
//
//	Vendor   an OAuth server in the judge's own process: which refresh token lives,
//	         how often each was sent and accepted, by which process, what was answered
//	Fleet    starts Processes on one store, kills, freezes and restarts them
//	Work     the other end: one process with a real vault that exchanges as it is told
//
// A loss is explained when the vendor's books show that a refresh token was spent,
// that its successor was never seen again, and that the process which spent it had
// no answer, or ended before it can have stored one. Everything else is a fault of ours.
package fleet
