package vault

import (
	"hash/fnv"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// usable says whether the token at hand can go out: it was checked, it is not the one
// that the API refused, and it lives beyond a margin of 60 s, or of a tenth of its life
// where that is less. One that was refreshed just now goes out whatever the vendor said
// of its life: else a vendor who says "one second" would be asked every second (G10).
func (v *Vault) usable(p *picked, stale *provider.Bearer) bool {
	row, t := p.row, p.out()
	if t.token == "" || row.Unverified || stale != nil && t.gen <= stale.Generation {
		return false
	}
	if t.expires == 0 || row.LeaseOwner == "" && row.FailCount == 0 && v.justNow(p) {
		return true
	}
	margin := min(time.Minute.Milliseconds(), (t.expires-t.got)/10)
	return v.now() < t.expires-max(margin, 0)
}

// justNow says whether the token at hand came from a refresh within the spacing of
// refreshes, by this process's clock. That of a consent came from no refresh.
func (v *Vault) justNow(p *picked) bool {
	age := v.now() - p.out().got
	return p.row.AttemptAt != 0 && age >= 0 && age < spacing.Milliseconds()
}

// alive says whether the token at hand, though due, would still be taken.
func (v *Vault) alive(p *picked) bool {
	t := p.out()
	return t.token != "" && !p.row.Unverified && (t.expires == 0 || v.now() < t.expires)
}

// early says whether a token is past about four fifths of its life, and may be
// refreshed while it serves. Each grant has its own point between 75 and 85 %, the
// same in every process, so that grants that were connected together do not fall due together.
// A narrowed token is got anew when somebody asks for it.
func (v *Vault) early(p *picked) bool {
	row := p.row
	life := row.AccessExp - row.Refreshed
	if row.AccessExp == 0 || life <= 0 || row.RefreshCT == nil || row.Unverified || row.NextTry > v.now() || p.slim != nil || v.justNow(p) {
		return false
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(row.ID))
	return v.now() >= row.Refreshed+life*(750+int64(h.Sum32()%100))/1000
}
