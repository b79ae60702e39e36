package tools

// Kind says what a tool may do to the vendor's data.
type Kind int

// The kinds. A Read changes nothing, a Write adds or changes, a Destroy removes.
const (
	Read Kind = iota + 1
	Write
	Destroy
)

// Annotations are the four hints of an MCP tool (MCP 2025-11-25, ToolAnnotations).
// All four are always meant, so that no client falls back to a default.
type Annotations struct {
	ReadOnly, Destructive, Idempotent, OpenWorld bool
}

// Annotations are the hints that follow from the kind.
func (k Kind) Annotations() Annotations {
	return Annotations{ReadOnly: k == Read, Destructive: k == Destroy, Idempotent: k == Read, OpenWorld: true}
}

// String is "read", "write" or "destroy".
func (k Kind) String() string {
	switch k {
	case Read:
		return "read"
	case Write:
		return "write"
	case Destroy:
		return "destroy"
	}
	return "unknown"
}
