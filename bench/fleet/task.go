package fleet

import (
	"time"

	"github.com/grantry/grantry/vault"
)

// Job is the first line that a process reads: what it works on.
type Job struct {
	Instance string        // unique among all that were ever started on this store
	Store    string        // an absolute path of a SQLite file, or a postgres URL
	Key      string        // the key file
	Locks    string        // folder of the processes' lock files
	Vendor   string        // URL
	OpenID   bool          // the vendor speaks OpenID Connect
	Ahead    time.Duration // of the process's clock
	Upkeep   bool          // run the vault's background work, too
}

// Task is one line after it. Tasks run side by side.
type Task struct {
	ID    int64
	Do    Doing
	User  int           // of connect and exchange
	By    time.Duration // of ahead
	Less  bool          // exchange: as a workload, for fewer scopes than were granted
	Force bool          // exchange: the API has refused the token of the last exchange for this user
}

// Doing is what a task asks for.
type Doing string

// The tasks.
const (
	DoConnect  Doing = "connect"  // the person consents
	DoExchange Doing = "exchange" // a token; one of a new generation is shown to the vendor's API
	DoAhead    Doing = "ahead"    // the process's clock goes on by By
	DoBreak    Doing = "break"    // from the next answer of a token endpoint on the store takes no write
	DoFill     Doing = "fill"     // the disk is full for this process: its SQLite file's log cannot grow
	DoFree     Doing = "free"     // and has room again
)

// Result is the line that answers a task; that with ID 0 says that the vault is open.
type Result struct {
	ID     int64
	OK     bool
	Reason string        `json:",omitempty"` // vault.Reason, Refused, or "error"
	Detail string        `json:",omitempty"` // the error, for people
	After  time.Duration `json:",omitempty"` // when trying again makes sense
	Gen    int64         `json:",omitempty"` // generation of the token
	Serial int           `json:",omitempty"` // the vendor's number of the token, 0 when it was not shown
}

// Refused is the reason where the vendor's API answered 401 to a token and to the
// one after it: both were too old when they were shown, or worse.
const Refused = "refused"

// Final says whether the result is the last word about a grant: a working token, or the need of a person.
func (r Result) Final() bool {
	return r.OK || r.Reason != string(vault.ProviderUnreachable) && r.Reason != string(vault.VaultDegraded) && r.Reason != Refused
}
