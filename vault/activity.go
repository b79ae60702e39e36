package vault

import (
	"context"
	"errors"
)

// Activity is an entry of the audit as the person sees it whom it is about.
type Activity struct {
	AuditEntry
	Summary      string // what the tool said of the call, "" when nothing
	AgentName    string // Agent.Label, as far as it is known yet; else the agent's id
	AccountLabel string // "" when the account is gone
}

// ActivityQuery names entries of one person; the zero query the newest of all.
type ActivityQuery struct {
	Agent   string   // AgentKey
	Account string   // Account.ID
	Tool    string   // name
	Kinds   []string // or their beginnings, where they end in "."; none = all
	Before  string   // cursor of the page before; "" = from now
	Limit   int      // of one page; 0 = 50, at most 200
}

// Activity are the caller's own entries, newest first, with the cursor of the next page, "" when there is none.
func (v *Vault) Activity(ctx context.Context, c Caller, q ActivityQuery) (page []Activity, next string, err error) {
	return nil, "", errors.ErrUnsupported
}
