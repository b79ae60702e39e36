package vault

import "time"

// Login is a client that is logged in at the built-in authorization server in a
// person's name. The server keeps them; this is what a page shows of one.
type Login struct {
	ID    string
	Agent Agent
	Since time.Time
	Used  time.Time // last, to about an hour
	Ends  time.Time // however often it is used; before that, when it is not used for long
}
