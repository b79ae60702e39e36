package vault

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// settingPruned holds what is left of pruned entries: JSON of prunedRecord.
const settingPruned = "audit_pruned"

// ErrSegments says that the record of what was pruned from the audit was changed by somebody without the vault's key.
var ErrSegments = errors.New("the record of pruned audit entries is not what was written")

// AuditSegment is what is left of the entries at the beginning of a stream that were pruned.
type AuditSegment struct {
	Stream string
	First  int64 // number of the first of them, 1
	Last   int64 // and of the last
	Count  int64
	MAC    []byte    // of the last: the chain goes on from it
	Until  time.Time // of the last
}

// segment is an AuditSegment as it is stored.
type segment struct {
	Stream string `json:"stream"`
	First  int64  `json:"first"`
	Last   int64  `json:"last"`
	Count  int64  `json:"count"`
	MAC    []byte `json:"mac"`
	Until  int64  `json:"until"`
	// Anew are those of its entries with which an anchor began anew: what was anchored before them stays void.
	Anew []headNote `json:"anew,omitempty"`
}

// prunedRecord is the segments of all streams under one MAC: none can be left out or changed.
type prunedRecord struct {
	Segments []segment `json:"segments"`
	MAC      []byte    `json:"mac"`
}

// segments are what was pruned, by stream. A record that was put back to an older one shows in the entries that are missing then.
type segments map[string]segment

func (v *Vault) segments(tx Tx) (segments, error) {
	raw, err := tx.Vault().Setting(settingPruned)
	if err != nil {
		return segments{}, unless(ErrNotFound, err)
	}
	var record prunedRecord
	if json.Unmarshal(raw, &record) != nil {
		return nil, ErrSegments
	}
	mac, err := v.segmentsMAC(record.Segments)
	if err != nil || !hmac.Equal(mac, record.MAC) {
		return nil, errors.Join(ErrSegments, err)
	}
	out := segments{}
	for _, s := range record.Segments {
		out[s.Stream] = s
	}
	return out, nil
}

func (v *Vault) setSegments(tx Tx, all segments) error {
	var record prunedRecord
	for _, s := range all {
		record.Segments = append(record.Segments, s)
	}
	slices.SortFunc(record.Segments, func(a, b segment) int { return strings.Compare(a.Stream, b.Stream) })
	var err error
	if record.MAC, err = v.segmentsMAC(record.Segments); err != nil {
		return err
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encoding what was pruned: %w", err)
	}
	return tx.Vault().SetSetting(settingPruned, raw)
}

func (v *Vault) segmentsMAC(all []segment) ([]byte, error) {
	raw, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encoding what was pruned: %w", err)
	}
	return v.MAC("audit/segments/v1", raw), nil
}

// pruned says whether an entry was pruned, and if it was the last of them, whether its MAC is this one.
func (s segments) pruned(stream string, seq int64, mac []byte) (gone, same bool) {
	x := s[stream]
	if x.Last == 0 || seq < x.First || seq > x.Last {
		return false, false
	}
	return true, seq < x.Last || hmac.Equal(mac, x.MAC)
}

func (s segments) mark(m Mark) (gone, same bool) {
	mac, err := hex.DecodeString(m.MAC)
	gone, same = s.pruned(m.Stream, m.Seq, mac)
	return gone, same && err == nil
}

// anew says whether an anchor began anew with this pruned entry.
func (s segments) anew(m Mark) bool {
	return slices.ContainsFunc(s[m.Stream].Anew, func(n headNote) bool { return n.Seq == m.Seq && hex.EncodeToString(n.MAC) == m.MAC })
}

func (s segments) list() (out []AuditSegment) {
	for _, x := range s {
		out = append(out, AuditSegment{Stream: x.Stream, First: x.First, Last: x.Last, Count: x.Count, MAC: x.MAC, Until: FromMillis(x.Until)})
	}
	slices.SortFunc(out, func(a, b AuditSegment) int { return strings.Compare(a.Stream, b.Stream) })
	return out
}
