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
	young, old map[dekOf]dataKey
}

// dataKey is a data key, and as it is wrapped.
type dataKey struct {
	*seal.DEK
	wrapped []byte
}

type dekOf struct {
	id   seal.DEKID
	user string
}

func (c *dekCache) get(id seal.DEKID, user string) (dataKey, bool) {
	of := dekOf{id, user}
	c.mu.RLock()
	k, ok := c.young[of]
	if !ok {
		k = c.old[of]
	}
	c.mu.RUnlock()
	if !ok && k.DEK != nil {
		c.put(user, k)
	}
	return k, k.DEK != nil
}

func (c *dekCache) put(user string, k dataKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= dekCacheSize {
		c.young, c.old = make(map[dekOf]dataKey), c.young
	}
	c.young[dekOf{k.ID(), user}] = k
}
