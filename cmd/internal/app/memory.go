package app

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// rememberShare is the part of the memory that the vault may fill with what exchanges picked: of a
// machine with 16 GiB, accounts of a million people.
const rememberShare = 16

// RememberBytes is so much of what this process may have: of the machine, its control group
// or GOMEMLIMIT, whichever is least. 0 = it is not known.
func RememberBytes() int {
	limit := uint64(math.MaxInt64)
	if set := debug.SetMemoryLimit(-1); set > 0 {
		limit = uint64(set)
	}
	for _, of := range []memlimit.Provider{memlimit.FromCgroup, memlimit.FromSystem} {
		if has, err := of(); err == nil {
			limit = min(limit, has)
		}
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return int(min(limit/rememberShare, math.MaxInt)) //nolint:gosec // not above the greatest int
}
