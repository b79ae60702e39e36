//go:build !linux && !darwin

package sqlstore

import "math"

// freeSpace does not know: the probe alone has to show that a write works.
func freeSpace(string) (uint64, error) { return math.MaxUint64, nil }
