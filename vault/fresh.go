package vault

import (
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// usable says whether the token at hand can go out: it is not the one that the
// API refused, and it lives beyond a margin of 60 s, or of a tenth of its life
// where that is less. One that was refreshed just now goes out whatever the vendor said
// of its life: else a vendor who says "one second" would be asked every second (G10).
func (v *Vault) usable(p picked, stale *provider.Bearer) bool {
	row := p.row
	if p.tokens.access.Token == "" || stale != nil && row.Gen <= stale.Generation {
		return false
	}
	now := v.now()
	justNow := row.LeaseOwner == "" && row.FailCount == 0 && row.AttemptAt <= now && now < row.AttemptAt+spacing.Milliseconds()
	if row.AccessExp == 0 || justNow {
		return true
	}
	margin := min(time.Minute.Milliseconds(), (row.AccessExp-row.Refreshed)/10)
	return now < row.AccessExp-max(margin, 0)
}

func (v *Vault) alive(g GrantRow) bool {
	return g.AccessCT != nil && (g.AccessExp == 0 || v.now() < g.AccessExp)
}
