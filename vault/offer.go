package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

const (
	settingTools  = "audit_tools"  // JSON: a tool's name → hash of its description, as it was offered last
	settingConfig = "audit_config" // hash of the configuration of the last start, hex
)

// ToolsOffered says what agents are offered: a hash of each tool's description
// and schemas. Against what the vault was told before, a changed and a new tool are
// an entry each (R83). One that another process leaves out is not forgotten.
func (v *Vault) ToolsOffered(ctx context.Context, hashes map[string]string) error {
	err := v.store.Update(ctx, func(tx Tx) error {
		last, err := offered(tx)
		if err != nil {
			return err
		}
		news := v.toolNews(last, hashes)
		if len(news) == 0 {
			return nil
		}
		if last == nil {
			last = map[string]string{}
		}
		maps.Copy(last, hashes)
		raw, err := json.Marshal(last)
		if err != nil {
			return err
		}
		if err := tx.Vault().SetSetting(settingTools, raw); err != nil {
			return err
		}
		return v.append(tx, news...)
	})
	if err != nil {
		return fmt.Errorf("auditing the tools: %w", err)
	}
	return nil
}

// offered is nil where the vault was never told.
func offered(tx Tx) (last map[string]string, err error) {
	raw, err := tx.Vault().Setting(settingTools)
	if err != nil {
		return nil, unless(ErrNotFound, err)
	}
	if err := json.Unmarshal(raw, &last); err != nil {
		return nil, fmt.Errorf("reading the tools of before: %w", err)
	}
	return last, nil
}

func (v *Vault) toolNews(last, hashes map[string]string) (news []Entry) {
	names := slices.Sorted(maps.Keys(hashes))
	if last == nil {
		all := ""
		for _, name := range names {
			all += name + "\x00" + hashes[name] + "\x00"
		}
		return []Entry{{Kind: "tools.listed", Detail: Detail{Count: int64(len(names)), Hash: v.auditHash("tools", all)}}}
	}
	for _, name := range names {
		was, known := last[name]
		switch {
		case !known:
			news = append(news, Entry{Kind: "tool.added", Tool: name, Detail: Detail{Hash: hashes[name]}})
		case was != hashes[name]:
			news = append(news, Entry{Kind: "tool.changed", Tool: name, Detail: Detail{Hash: hashes[name], Was: was}})
		}
	}
	return news
}

// configNews is the entry of a start with another configuration than the last one's, if it is.
func (v *Vault) configNews(tx Tx) ([]Entry, error) {
	if v.cfg.Settings == "" {
		return nil, nil
	}
	was, err := tx.Vault().Setting(settingConfig)
	if err := unless(ErrNotFound, err); err != nil {
		return nil, err
	}
	now := v.auditHash("config", v.cfg.Settings)
	if now == string(was) {
		return nil, nil
	}
	return []Entry{{Kind: "config.changed", Detail: Detail{Hash: now, Was: string(was)}}}, tx.Vault().SetSetting(settingConfig, []byte(now))
}

// auditHash is a keyed hash for an entry: it tells same from other, and nothing to who has the entries alone.
func (v *Vault) auditHash(of, text string) string {
	return hex.EncodeToString(v.MAC("audit/"+of+"/v1", []byte(text))[:16])
}
