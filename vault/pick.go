package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

// picked is the account that serves a request, with all that releasing it takes.
type picked struct {
	row    GrantRow
	label  string
	need   provider.Need
	conn   *provider.Connection
	access AccessRow
	tokens tokens
	epoch  int64 // of the store when it was read
	used   int64 // when the last use was noted

	all  []account // its person's, as they were read with it
	kept *kept     // what it was picked by where nothing was read; it then has no token but the one that goes out

	consent   int64     // generation that its person's last consent made; 0 = of before that was noted
	slim      []string  // scopes of the narrowed token that goes out instead of the account's own; nil = that one
	narrow    *narrowed // the narrowed token, if there is one
	narrowRec Record    // as it is sealed
	unslim    bool      // the vendor was asked for a narrowed token lately, and gave none
	wider     bool      // the person let this agent have more than they said yes to (Ticket.Wider)
}

// outgoing is the access token that goes out for a pick; its generation tells it from the ones before it.
type outgoing struct {
	token, apiBase    string
	gen, got, expires int64
}

func (p *picked) out() outgoing {
	switch {
	case p.slim == nil:
		t := p.tokens.access
		return outgoing{token: t.Token, apiBase: t.APIBase, gen: cmp.Or(t.Gen, p.row.Gen), got: p.row.Refreshed, expires: p.row.AccessExp}
	case p.narrow == nil:
		return outgoing{}
	}
	n := p.narrow
	return outgoing{token: n.Token, apiBase: n.APIBase, gen: n.Gen, got: n.Got, expires: n.Expires}
}

// can is what the token that goes out can do.
func (p *picked) can() []string {
	if p.slim != nil && p.narrow != nil {
		return p.narrow.Scopes
	}
	return provider.ParseScopes(p.row.Scopes)
}

// ask is what serves the need: of each group the first scope that the grant has, else the first.
func (p *picked) ask() []string {
	granted, vendor := provider.ParseScopes(p.row.Scopes), p.conn.Provider()
	out := p.need.Ask()
	for i, group := range slices.DeleteFunc(slices.Clone(p.need.Groups), func(g []string) bool { return len(g) == 0 }) {
		if j := slices.IndexFunc(group, func(s string) bool { return vendor.Covers(granted, s) }); j > 0 {
			out[i] = group[j]
		}
	}
	return out
}

// way is one connection that could serve one of the needs.
type way struct {
	conn *provider.Connection
	need provider.Need
}

// pick finds the account and proves, in the order of the package comment, that
// this agent may use it for this need. Its errors are *ConsentError. An account
// that does not open is quarantined on the way (R71).
func (v *Vault) pick(ctx context.Context, r Request) (*picked, error) {
	return v.pickFor(ctx, r, v.who(r))
}

// who are the keys of a request's caller and agent.
type who struct{ user, agent string }

func (v *Vault) who(r Request) who {
	return who{user: v.Pseudonym(r.Caller), agent: v.agentKey(r.Agent)}
}

func (v *Vault) pickFor(ctx context.Context, r Request, w who) (*picked, error) {
	ways, err := v.waysOf(r)
	if err != nil {
		return nil, err
	}
	var found *picked // of a reader that may be at it yet when ctx is done
	var broken []string
	err = v.looks.at(ctx, v, func(tx Tx, epoch int64) (err error) {
		found, broken, err = v.find(tx, epoch, r, w, ways)
		return err
	})
	if err != nil && ctx.Err() != nil {
		return nil, degraded(err)
	}
	for _, id := range broken {
		v.quarantine(ctx, id)
	}
	if err != nil {
		return nil, degraded(err)
	}
	return found, nil
}

// find is a pick's reading. It also answers the accounts that do not open.
func (v *Vault) find(tx Tx, epoch int64, r Request, asks who, ways []way) (p *picked, broken []string, err error) {
	all, err := v.held(tx, asks)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range all {
		if a.broken {
			broken = append(broken, a.row.ID)
		}
	}
	a, w, err := choose(r, ways, slices.Clone(all)) // it leaves out those at other connections
	if err != nil {
		return nil, broken, err
	}
	p = pickedFrom(a, w, epoch)
	p.all = all
	err = v.prove(stored{tx}, r, p)
	if errors.Is(err, errBroken) {
		broken = append(broken, a.row.ID)
	}
	return p, broken, err
}

func pickedFrom(a *account, w way, epoch int64) *picked {
	return &picked{
		row: a.row, label: a.profile.label(), need: w.need, conn: w.conn, access: a.access,
		epoch: epoch, used: a.access.Used, consent: a.profile.Consent,
	}
}

// held are a user's accounts, each with the access that the agent has to it.
func (v *Vault) held(tx Tx, w who) ([]account, error) {
	rows, err := tx.Access().Held(w.user, w.agent)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	out := make([]account, len(rows))
	for i, h := range rows {
		out[i].row, out[i].access = h.Grant, h.Access
		if err := v.openProfile(tx, &out[i]); err != nil {
			return nil, fmt.Errorf("listing accounts: %w", err)
		}
	}
	return out, nil
}

// ways are the connections that could serve, in the order of needs, then by name.
func (v *Vault) ways(needs []provider.Need) (out []way) {
	for _, n := range needs {
		for _, name := range v.names {
			c := v.conns[name]
			if n.Connection == name || n.Connection == "" && n.Provider == c.Provider().Name {
				out = append(out, way{conn: c, need: n})
			}
		}
	}
	return out
}

func wayOf(ways []way, connection string) (way, bool) {
	i := slices.IndexFunc(ways, func(w way) bool { return w.conn.Name() == connection })
	if i < 0 {
		return way{}, false
	}
	return ways[i], true
}

// choose picks the account: the named one, else the default one, else the only
// one. Several and none marked is an error with their labels, never a guess: a
// default account that is over is to be mended, and not another's turn.
func choose(r Request, ways []way, all []account) (*account, way, error) {
	all = slices.DeleteFunc(all, func(a account) bool { _, ok := wayOf(ways, a.row.Connection); return !ok })
	if r.Account != "" {
		return named(all, ways, r.Account)
	}
	candidates := all
	if len(all) > 1 {
		if live := active(all); len(live) > 0 {
			candidates = live
		}
		if marked := slices.DeleteFunc(slices.Clone(all), func(a account) bool { return !a.row.IsDefault }); len(marked) == 1 {
			candidates = marked
		}
	}
	switch {
	case len(candidates) == 0:
		return nil, way{}, &ConsentError{Reason: NotConnected, Options: newOptions(ways)}
	case len(candidates) > 1 && candidates[0].row.State == string(GrantActive):
		return nil, way{}, &ConsentError{Reason: AccountAmbiguous, Labels: labels(candidates)}
	case len(candidates) > 1: // all of them are over: the one used last stands for them
		slices.SortStableFunc(candidates, func(a, b account) int { return cmp.Compare(b.row.Updated, a.row.Updated) })
	}
	w, _ := wayOf(ways, candidates[0].row.Connection)
	return &candidates[0], w, nil
}

func active(all []account) []account {
	return slices.DeleteFunc(slices.Clone(all), func(a account) bool { return a.row.State != string(GrantActive) })
}

func named(all []account, ways []way, ref string) (*account, way, error) {
	var found []account
	shown := labels(all)
	for i, a := range all {
		if a.row.ID == ref { // nothing else is named by an id, whatever a vendor lets people call themselves
			found = []account{a}
			break
		}
		if strings.EqualFold(a.profile.label(), ref) || shown[i] == ref {
			found = append(found, a)
		}
	}
	if live := active(found); len(live) > 0 {
		found = live
	}
	switch len(found) {
	case 0:
		return nil, way{}, &ConsentError{Reason: AccountUnknown, Labels: labels(all)}
	case 1:
		w, _ := wayOf(ways, found[0].row.Connection)
		return &found[0], w, nil
	}
	return nil, way{}, &ConsentError{Reason: AccountAmbiguous, Labels: labels(found)}
}

// labels tell accounts apart: the label, and where two would read the same, the id behind it.
func labels(all []account) []string {
	seen := map[string]int{}
	for _, a := range all {
		seen[strings.ToLower(a.profile.label())]++
	}
	out := make([]string, len(all))
	for i, a := range all {
		if out[i] = a.profile.label(); seen[strings.ToLower(out[i])] > 1 {
			out[i] = fmt.Sprintf("%s (%s, %s)", a.row.ID, out[i], a.row.Connection)
		}
	}
	return out
}

func newOptions(ways []way) []Option {
	out := make([]Option, len(ways))
	for i, w := range ways {
		out[i] = Option{Connection: w.conn.Name(), Scopes: w.need.Ask(), Missing: w.need.Ask(), VendorNeeded: true}
	}
	return out
}

// prove checks destination, state, granted scopes and access, and opens the tokens.
func (v *Vault) prove(from source, r Request, p *picked) error {
	granted := provider.ParseScopes(p.row.Scopes)
	if !bound(p.row, p.conn) {
		return v.lacks(ConnChanged, p, nil)
	}
	if reason := stateReason(GrantState(p.row.State)); reason != "" {
		return v.lacks(reason, p, nil)
	}
	if missing := p.conn.Provider().Missing(granted, p.need); len(missing) > 0 {
		return v.lacks(UnderScoped, p, missing)
	}
	err := v.fit(r.Ceiling, p)
	if err != nil {
		return err
	}
	if p.access.ID == "" {
		return v.lacks(AgentNotAllowed, p, nil)
	}
	if !r.meant(p.access) {
		e := v.lacks(AgentNotAllowed, p, nil)
		e.Err = ErrOtherAccess
		return e
	}
	allowed, err := v.allowed(from, r, p)
	if err == nil && !allowed {
		return v.lacks(AgentNotAllowed, p, nil)
	}
	if err != nil {
		return err
	}
	if err := v.bounded(from, r.Ceiling, p); err != nil {
		return err
	}
	p.tokens, err = from.tokens(v, p)
	if damaged(err) {
		e := v.lacks(AccountChanged, p, nil)
		e.Err = errBroken
		return e
	}
	return err
}

// meant says whether the request may run under this access.
func (r Request) meant(a AccessRow) bool { return r.Access == "" || r.Access == a.ID }

func stateReason(s GrantState) Reason {
	switch s {
	case GrantActive:
		return ""
	case GrantRevoked:
		return Revoked
	case GrantExpired:
		return Expired
	case GrantNoRefresh:
		return NoRefreshToken
	default:
		return AccountChanged
	}
}

// lacks is the ConsentError about a picked account.
func (v *Vault) lacks(reason Reason, p *picked, missing []string) *ConsentError {
	o := Option{
		Connection: p.row.Connection, Grant: p.row.ID, Missing: missing, Scopes: p.ask(),
		VendorNeeded: reason != AgentNotAllowed && reason != ApprovalRequired,
	}
	if o.VendorNeeded && missing == nil {
		o.Missing = o.Scopes
	}
	return &ConsentError{Reason: reason, Account: p.label, Options: []Option{o}}
}
