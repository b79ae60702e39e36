package fleet

import (
	"fmt"
	"time"
)

// killWindow is how long after a vendor accepted a refresh token the process that
// sent it may end and still not have stored the answer: a freeze included.
const killWindow = 5 * time.Second

// refreshToken is one page of the vendor's books.
type refreshToken struct {
	owner   *person
	consent int
	sends   int
	spent   []spend
}

// spend is an accepted refresh.
type spend struct {
	worker string
	at     time.Time // real time, without Advance
	vendor time.Time // by the vendor's clock
	answer Answer
	next   *refreshToken
	access *accessToken
}

type accessToken struct {
	owner   *person
	serial  int
	expires time.Time
	used    bool
}

// consent begins a person's grant anew.
func (v *Vendor) consent(subject string) map[string]any {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.person(subject)
	p.consents++
	p.killer, p.revoked, p.refused = nil, false, nil
	_, _, out := v.issue(p, v.cfg.First())
	return out
}

// issue draws a pair of tokens. It needs the lock.
func (v *Vendor) issue(p *person, life time.Duration) (*refreshToken, *accessToken, map[string]any) {
	r, a := draw(p.subject, "r"), draw(p.subject, "a")
	next := &refreshToken{owner: p, consent: p.consents}
	access := &accessToken{owner: p, serial: len(v.access) + 1, expires: v.now().Add(life)}
	v.refresh[r], v.access[a] = next, access
	return next, access, map[string]any{
		"access_token": a, "refresh_token": r, "expires_in": int(life / time.Second), "token_type": "Bearer",
	}
}

// spend accepts a refresh token and answers its successor, or nil.
func (v *Vendor) spend(raw, worker string, answer Answer) map[string]any {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.refresh[raw]
	if t == nil {
		return nil
	}
	p := t.owner
	policy := v.cfg.Policy(p.subject)
	late := len(t.spent) > 0 && v.now().Sub(t.spent[0].vendor) >= policy.Grace
	if late && policy.Family && t.consent == p.consents && p.killer == nil {
		p.killer = t
	}
	if t.consent != p.consents {
		return nil
	}
	if late || p.revoked || p.killer != nil {
		p.refused = t
		return nil
	}
	next, access, out := v.issue(p, v.cfg.Life)
	t.spent = append(t.spent, spend{worker: worker, at: time.Now(), vendor: v.now(), answer: answer, next: next, access: access})
	return out
}

// Ended notes that a process has ended. A loss that nothing else explains may be its doing.
func (v *Vendor) Ended(worker string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended[worker] = time.Now()
}

// Truth is what a vendor's books say of one person's current grant.
type Truth struct {
	Refreshes int // refresh tokens accepted, repeats within a grace included
	Spent     int // different ones
	MostSends int // of one refresh token
}

// Truth answers for a person.
func (v *Vendor) Truth(subject string) (out Truth) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.refresh {
		if t.owner.subject != subject || t.consent != t.owner.consents {
			continue
		}
		out.Refreshes += len(t.spent)
		out.MostSends = max(out.MostSends, t.sends)
		if len(t.spent) > 0 {
			out.Spent++
		}
	}
	return out
}

// Total is Truth over everybody, and over earlier grants, too.
func (v *Vendor) Total() (out Truth) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.refresh {
		out.Refreshes += len(t.spent)
		out.MostSends = max(out.MostSends, t.sends)
		if len(t.spent) > 0 {
			out.Spent++
		}
	}
	return out
}

// Cause is what explains a loss.
type Cause string

// The causes; there is no other excuse.
const (
	ByKill   Cause = "killed"     // whoever spent the token ended before it can have stored the answer
	ByVendor Cause = "unanswered" // the vendor spent the token and sent nothing that can be used
	ByPerson Cause = "revoked"    // at the vendor
)

// Verdict is what the vendor's books say of a loss.
type Verdict struct {
	Cause  Cause  // "" = the vault has lost what it need not have lost
	Detail string // for people
}

// Explain judges the loss of a person's current grant.
func (v *Vendor) Explain(subject string) Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.person(subject)
	t := p.refused
	if p.killer != nil {
		t = p.killer
	}
	switch {
	case p.revoked:
		return Verdict{Cause: ByPerson, Detail: "by the person"}
	case t == nil:
		return Verdict{Detail: "the vendor has refused nothing"}
	case len(t.spent) == 0:
		return Verdict{Detail: "a refresh token was refused that was never spent"}
	}
	var last Verdict
	for _, s := range t.spent {
		if last = v.excuse(s); last.Cause == "" {
			return last
		}
	}
	return last
}

// excuse says whether whoever spent a token can be without its successor. It needs the lock.
func (v *Vendor) excuse(s spend) Verdict {
	ended, dead := v.ended[s.worker]
	had := ended.Sub(s.at).Round(time.Millisecond)
	switch {
	case s.next.sends > 0 || s.access.used:
		return Verdict{Detail: "its successor was received and used"}
	case s.answer != Whole:
		return Verdict{Cause: ByVendor, Detail: fmt.Sprintf("the vendor's answer was %q", s.answer)}
	case !dead:
		return Verdict{Detail: fmt.Sprintf("%s spent it, had the answer, and lives", s.worker)}
	case had > killWindow:
		return Verdict{Detail: fmt.Sprintf("%s had %s to store the answer before it ended", s.worker, had)}
	}
	return Verdict{Cause: ByKill, Detail: fmt.Sprintf("%s ended %s after it was spent", s.worker, had)}
}
