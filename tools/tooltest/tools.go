package tooltest

import (
	"testing"

	"github.com/grantry/grantry/tools"
)

// Find is the tool of that name.
func Find(t *testing.T, all []tools.Tool, name string) tools.Tool {
	t.Helper()
	for _, tool := range all {
		if tool.Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %s", name)
	return tools.Tool{}
}
