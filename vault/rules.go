package vault

// Rule says which accounts may be connected at a connection, and by whom. What is empty allows all.
type Rule struct {
	Domains []string // of the account's organization, as the vendor vouches for it: hosted domain, else domain of the verified e-mail
	Tenants []string // of the account: tenant, workspace or organization
	Claim   string   // of the person's sign-in, which must hold one of Any
	Any     []string
}
