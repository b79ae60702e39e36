package seal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// envSource reads a variable once and takes it out of the environment: what
// stays there leaks to children.
type envSource struct {
	name string
	opts SourceOptions

	mu   sync.Mutex
	keys []Key
}

func openEnv(name string, opts SourceOptions) (Source, error) {
	if name == "" || strings.ContainsAny(name, "= \t\n") {
		return nil, errors.New("opening key source env: no name of a variable")
	}
	return &envSource{name: name, opts: opts}, nil
}

func (s *envSource) String() string { return "env:" + s.name }

func (s *envSource) Keys(context.Context) ([]Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys != nil {
		return append([]Key(nil), s.keys...), nil
	}
	value, ok := s.opts.LookupEnv(s.name)
	if !ok {
		return nil, fmt.Errorf("reading %s: %w", s, ErrNoKey)
	}
	keys, err := ParseKeys([]byte(value))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	if err := s.opts.Unsetenv(s.name); err != nil {
		return nil, fmt.Errorf("removing %s from the environment: %w", s.name, err)
	}
	s.keys = keys
	return append([]Key(nil), keys...), nil
}
