//go:build unix

package seal_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/grantry/grantry/vault/seal"
)

func children() map[string]func(string) error {
	return map[string]func(string) error{"fips": fipsChild, "create": createChild, "append": appendChild, "source": sourceChild}
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

// appendChild adds keys to a source until it is stopped, or as many as arg says
// ("number,reference"). It prints the id of each key that is durable.
func appendChild(arg string) error {
	number, ref, _ := strings.Cut(arg, ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	src, err := seal.OpenSource(ref, seal.SourceOptions{})
	if err != nil {
		return err
	}
	for range n {
		key, err := seal.GenerateKey(nil)
		if err != nil {
			return err
		}
		if err := src.(seal.Appender).Append(context.Background(), key); err != nil {
			return err
		}
		fmt.Println(key.ID())
	}
	return nil
}
