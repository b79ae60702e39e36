package vault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

// Rule says which accounts may be connected at a connection, and by whom. What is empty allows all.
type Rule struct {
	Domains []string // of the account's organization, as the vendor vouches for it: hosted domain, else domain of the verified e-mail
	Tenants []string // of the account: tenant, workspace or organization, by id
	Claim   string   // of the person's sign-in, which must hold one of Any
	Any     []string
}

// admits says whether an account may be connected.
func (r Rule) admits(i *provider.Identity) bool {
	domain := func(d string) bool { return strings.EqualFold(d, i.Domain) }
	tenant := func(t string) bool {
		return slices.ContainsFunc(i.Tenants, func(is string) bool { return sameTenant(t, is) })
	}
	return (len(r.Domains) == 0 || i.Domain != "" && slices.ContainsFunc(r.Domains, domain)) &&
		(len(r.Tenants) == 0 || slices.ContainsFunc(r.Tenants, tenant))
}

// sameTenant compares ids. Salesforce shows the first 15 characters of an id that has 18.
func sameTenant(rule, is string) bool {
	return strings.EqualFold(rule, is) || len(rule) == 15 && len(is) == 18 && rule == is[:15]
}

// allows says whether a person may use the connection.
func (r Rule) allows(p Person) bool {
	return r.Claim == "" || slices.ContainsFunc(p.Claims[r.Claim], func(is string) bool { return slices.Contains(r.Any, is) })
}

// noteRule notes that a person wanted to use a connection that is not for them.
func (v *Vault) noteRule(ctx context.Context, a Answer, t Ticket, err error) {
	var rule *RuleError
	if !errors.As(err, &rule) {
		return
	}
	e := v.ticketEntry("connect.refused", t)
	e.Caller, e.Connection, e.Result, e.Reason = a.Person.Caller, rule.Connection, "refused", "claim"
	if err := v.Note(ctx, e); err != nil {
		v.log.Error("writing the audit entry of a refusal", "error", err)
	}
}
