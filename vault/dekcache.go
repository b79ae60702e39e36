package vault

import (
	"sync"

	"github.com/grantry/grantry/vault/seal"
)

// dekCacheSize is how many data keys one half of the cache holds; each takes about a kilobyte.
const dekCacheSize = 8192

// dekCache keeps the data keys used last. When the young half is full it becomes
// the old one, and what nobody used since then is forgotten. A key is found for
// its own user only: the cache must not open what the wrapped form would not.
type dekCache struct {
	mu         sync.RWMutex
	young, old map[dekOf]*seal.DEK
}

type dekOf struct {
	id   seal.DEKID
	user string
}

func (c *dekCache) get(id seal.DEKID, user string) (*seal.DEK, bool) {
	k := dekOf{id, user}
	c.mu.RLock()
	dek, ok := c.young[k]
	if !ok {
		dek = c.old[k]
	}
	c.mu.RUnlock()
	if !ok && dek != nil {
		c.put(user, dek)
	}
	return dek, dek != nil
}

func (c *dekCache) put(user string, dek *seal.DEK) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= dekCacheSize {
		c.young, c.old = make(map[dekOf]*seal.DEK), c.young
	}
	c.young[dekOf{dek.ID(), user}] = dek
}
