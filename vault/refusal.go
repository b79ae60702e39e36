package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// errTaken says that another process took a lease over before its owner was done.
var errTaken = errors.New("lease was taken over")

const (
	// maxRetryAfter bounds what a vendor's Retry-After is believed.
	maxRetryAfter = time.Hour
	// recUnread holds, sealed, what a 2xx said that could not be read; its handle is the grant's id.
	recUnread  = "unread"
	unreadKept = 7 * 24 * time.Hour
)

// idleExpiry is how long an unused refresh token lives at the strictest of the vendors.
const idleExpiry = 60 * 24 * time.Hour

// refusal is a failed try on its way into the row.
type refusal struct {
	a     *attempt
	cause *provider.TokenError
	row   GrantRow // as it is now
	at    int64    // by the store's clock

	moved bool          // somebody stored another token meanwhile
	ended bool          // the grant is over
	wait  time.Duration // until the next try
	again *attempt      // to be sent now, already claimed

	unnarrowed bool // the vendor does not narrow, and that is noted
}

// refused sorts a failed refresh: invalid_grant, after reading the row again and
// trying an alternate, ends the grant; invalid_client is the operator's matter; all
// else is temporary. An attempt without an error is to be sent next; neither means that the row has moved on.
func (v *Vault) refused(ctx context.Context, a *attempt, cause error) (*attempt, error) {
	r := &refusal{a: a}
	if !errors.As(cause, &r.cause) {
		r.cause = &provider.TokenError{Connection: a.p.row.Connection, Class: provider.Ambiguous, Err: cause}
	}
	hit("before_refused")
	if err := v.store.Update(ctx, func(tx Tx) error { return v.note(tx, r) }); err != nil {
		return nil, err
	}
	hit("after_refused")
	switch {
	case r.ended:
		v.noticeEnded(ctx, a.p.row.ID)
		return nil, nil
	case r.moved, r.unnarrowed: // the loser of a race uses the winner's token
		return nil, nil
	case r.again != nil:
		if r.cause.Class == provider.Ambiguous {
			hit("before_resend")
			time.Sleep(resendAfter)
		}
		return r.again, nil
	case operatorCode(r.cause.Code):
		return nil, v.misconfigured(r)
	}
	return nil, v.unreachable(&a.p, r.wait, r.cause)
}

// misconfigured is the operator's to mend. They hear of it loudly, and not at every call.
func (v *Vault) misconfigured(r *refusal) error {
	if v.breakers.of(r.row.Connection).complain(v.cfg.Now()) {
		v.log.Error("the vendor refuses the client registration: no account of this connection can be refreshed until it is mended",
			"connection", r.row.Connection, "code", r.cause.Code)
	}
	e := v.unreachable(&r.a.p, r.wait, r.cause)
	e.Reason = ConnMisconfigured
	return e
}

// note writes a failed try into the row, unless the row or its lease has moved.
func (v *Vault) note(tx Tx, r *refusal) (err error) {
	r.moved, r.ended, r.again, r.unnarrowed = false, false, nil, false
	if r.row, err = tx.Grants().Get(r.a.p.row.ID); err != nil {
		return err
	}
	if r.moved = r.row.Gen != r.a.p.row.Gen; r.moved {
		return nil
	}
	if r.row.LeaseSeq != r.a.lease.Seq {
		return errTaken // who took it knows more: this answer may be what they caused
	}
	if r.at, err = v.storeNow(tx); err != nil {
		return err
	}
	if err := v.keepUnread(tx, r); err != nil {
		return err
	}
	switch {
	case r.cause.Class == provider.Rejected && r.a.p.tokens.alt != "" && v.now() < r.row.AltUntil:
		return v.tryAlternate(tx, r)
	case r.cause.Class == provider.Rejected:
		return v.endRejected(tx, r)
	case r.refusesNarrowing():
		return v.noteRefusesNarrowing(tx, r)
	}
	return v.noteFailure(tx, r)
}

func (r *refusal) code() string {
	if r.cause.Code != "" {
		return r.cause.Code
	}
	return string(r.cause.Class)
}

// noteFailure frees the lease and writes when to try again. What nobody knows the
// vendor did stays in the phase; a clean failure takes its own send out of it.
//
// Where an answer was lost, the same token goes out once more after 2 s, under a
// claim of its own, and once more when NextTry has come (G7). By then the vendor
// has either given its successor or said invalid_grant, or it answers nobody. For
// the last a grant is never ended (§4.4, step 10): it stays active. Each further
// send risks no more than the second did, since nobody else holds the token; so what bounds them is time, a
// minute doubling to thirty, and the breaker, which lets one grant through for all.
func (v *Vault) noteFailure(tx Tx, r *refusal) error {
	lost := r.cause.Class == provider.Ambiguous
	sends := r.a.sends
	if !lost {
		sends--
	}
	r.wait = jitter(max(pause(r.row.FailCount+1), lostPause(sends)))
	r.wait = max(r.wait, min(r.cause.RetryAfter, maxRetryAfter))
	l := Lease{
		Seq: r.row.LeaseSeq, AttemptAt: r.row.AttemptAt, Phase: phase(sends), FailCount: r.row.FailCount + 1,
		LastError: r.code(), NextTry: r.at + r.wait.Milliseconds(),
	}
	if lost && sends == 1 && r.over() {
		l.Owner, l.Seq, l.AttemptAt, l.Until, l.Phase = v.cfg.Instance, l.Seq+1, r.at, r.at+leaseFor.Milliseconds(), phase(2)
		r.again = &attempt{p: r.a.p, dek: r.a.dek, lease: l, sends: 2}
		r.again.p.row = r.row
	}
	if err := tx.Grants().Lease(r.row.ID, r.row.Gen, r.row.LeaseSeq, l); err != nil {
		return err
	}
	return v.append(tx, r.entry("grant.refresh_failed"))
}

// over says whether the request whose answer was lost is surely no more in flight:
// the vendor answered something, or hung up. One that timed out may still be at work,
// and a vendor that names a time is not asked before.
func (r *refusal) over() bool {
	return r.cause.RetryAfter == 0 && !errors.Is(r.cause, context.DeadlineExceeded) && !errors.Is(r.cause, context.Canceled)
}

func (r *refusal) entry(kind string) Entry {
	return Entry{Kind: kind, user: r.row.User, Connection: r.row.Connection, Account: r.row.ID, Result: "refused", Reason: r.code()}
}

// tryAlternate puts the alternate in the place of the token that the vendor
// refuses, which makes it durable that each is tried once, and claims it.
func (v *Vault) tryAlternate(tx Tx, r *refusal) error {
	row, t := r.row, r.a.p.tokens
	t.refresh, t.alt, row.AltUntil, row.Updated = t.alt, "", 0, v.now()
	if err := v.sealTokens(r.a.dek, &row, t); err != nil {
		return err
	}
	if err := tx.Grants().Swap(row, row.Gen); err != nil {
		return err
	}
	row.AttemptPhase = ""
	p := r.a.p
	p.row, p.tokens = row, t
	var err error
	if r.again, err = v.lease(tx, p, r.at); err != nil {
		return err
	}
	return v.append(tx, r.entry("grant.alternate"))
}

// endRejected ends a grant that the vendor does not know any more.
func (v *Vault) endRejected(tx Tx, r *refusal) error {
	l := Lease{Seq: r.row.LeaseSeq, AttemptAt: r.row.AttemptAt, FailCount: r.row.FailCount + 1, LastError: r.code()}
	if err := tx.Grants().Lease(r.row.ID, r.row.Gen, r.row.LeaseSeq, l); err != nil {
		return err
	}
	r.ended = true
	return v.end(tx, r.row, v.deathOf(r.row), "invalid_grant")
}

// keepUnread stores what could not be read, for whoever looks for the token in it.
func (v *Vault) keepUnread(tx Tx, r *refusal) error {
	if r.cause.Unread.IsZero() {
		return nil
	}
	v.log.Error("a vendor's answer to a refresh cannot be read; it is kept, sealed, for seven days", "grant", r.row.ID, "connection", r.row.Connection)
	return v.putRecord(tx, recUnread, r.row.ID, r.row.User, []byte(r.cause.Unread.Reveal()), v.now()+unreadKept.Milliseconds())
}

// UnreadAnswer is the last answer to a refresh of this grant that was a success
// and could not be read, at most seven days old and 64 KiB long: a token may be
// in it. It is the operator's, and ErrNotFound where there is none.
func (v *Vault) UnreadAnswer(ctx context.Context, grant string) (provider.Secret, error) {
	raw, err := v.Records().Get(ctx, recUnread, grant)
	return provider.NewSecret(string(raw)), err
}

// deathOf is what invalid_grant most likely means, since vendors do not say: a
// token that was idle for long has run out, another was taken back.
func (v *Vault) deathOf(g GrantRow) GrantState {
	if v.now()-max(g.Refreshed, g.Created) > idleExpiry.Milliseconds() {
		return GrantExpired
	}
	return GrantRevoked
}

func operatorCode(code string) bool {
	return code == "invalid_client" || code == "unauthorized_client" || code == "unsupported_grant_type"
}

// pause is how long a grant is left alone after its n-th failure in a row: 30 s,
// from the fifth on a minute, doubling to 30.
func pause(n int64) time.Duration {
	if n < 5 {
		return spacing
	}
	return min(time.Minute<<min(n-5, 5), 30*time.Minute)
}

// lostPause is the pause after the n-th answer that was lost: from the third on a minute, doubling to 30.
func lostPause(n int) time.Duration {
	if n < 3 {
		return 0
	}
	return min(time.Minute<<min(n-3, 5), 30*time.Minute)
}

// jitter moves a pause by up to a tenth, so that what failed together is not
// tried again together: up from the shortest, down from a longer one.
func jitter(d time.Duration) time.Duration {
	if d <= spacing {
		return d + rand.N(d/10)
	}
	return d - rand.N(d/10)
}
