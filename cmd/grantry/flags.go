package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// given is the text of a flag. An empty one is refused: it is a variable of a
// script that was not set, and would mean another vault, or everybody's accounts.
type given string

// UnmarshalText takes any text but an empty one.
func (g *given) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("must not be empty; leave the flag out for the default")
	}
	*g = given(text)
	return nil
}

// age is a time that has passed: a duration, or whole days.
type age time.Duration

// UnmarshalText takes "30d", and what time.ParseDuration takes, if it is longer than nothing.
func (a *age) UnmarshalText(text []byte) error {
	s := string(text)
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return errors.New("must be a time such as 30d or 12h, longer than nothing")
	}
	*a = age(d)
	return nil
}

// place are the flags that say which vault is meant, as a person would give them again.
func (c *common) place() string {
	var b strings.Builder
	for _, f := range []struct {
		name  string
		value given
	}{{"config", c.Config}, {"data-dir", c.DataDir}} {
		if f.value != "" {
			b.WriteString(" --" + f.name + " " + strconv.Quote(string(f.value)))
		}
	}
	if c.Sandbox {
		b.WriteString(" --sandbox")
	}
	return b.String()
}
