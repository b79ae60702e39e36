//go:build !failpoints

package vault

// hit is where a build with the tag failpoints can die; here it does nothing.
func hit(string) {}
