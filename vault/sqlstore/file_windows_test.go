package sqlstore_test

import "context"

func systemChildren() map[string]func(ctx context.Context, path, arg string) error { return nil }
