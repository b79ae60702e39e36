//go:build unix

package seal_test

import (
	"context"
	"strconv"
	"strings"
	"syscall"

	"github.com/grantry/grantry/vault/seal"
)

func children() map[string]func(string) error {
	return map[string]func(string) error{"fips": fipsChild, "create": createChild}
}

// createChild makes a key file under a umask: arg is "octal umask,path".
func createChild(arg string) error {
	mask, path, _ := strings.Cut(arg, ",")
	bits, err := strconv.ParseUint(mask, 8, 16)
	if err != nil {
		return err
	}
	syscall.Umask(int(bits))
	src, err := seal.OpenSource("file:"+path, seal.SourceOptions{})
	if err != nil {
		return err
	}
	if err := src.(seal.Creator).Create(context.Background()); err != nil {
		return err
	}
	_, err = src.Keys(context.Background())
	return err
}
