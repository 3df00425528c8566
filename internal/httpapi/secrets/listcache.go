package secrets

import (
	"encoding/json"
	"slices"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
)

// maxListCache bounds the answers kept, in bytes.
const maxListCache = 16 << 20

// listCache keeps the list of an organisation's secrets as it was last answered. To find that the names are the same is
// much less work than to encode them: a store that keeps its list gives the same strings again, which compare at once.
type listCache struct {
	mu    sync.RWMutex
	lists *bounded.Map[id.ID, listAnswer]
}

type listAnswer struct {
	keys []string
	body []byte
}

func newListCache() listCache {
	return listCache{lists: bounded.New[id.ID, listAnswer](maxListCache, nil)}
}

// answer gives the answer with those names.
func (c *listCache) answer(org id.ID, keys []string) ([]byte, error) {
	c.mu.RLock()
	kept, ok := c.lists.Get(org)
	c.mu.RUnlock()
	if ok && sameKeys(kept.keys, keys) {
		return kept.body, nil
	}
	body, err := json.Marshal(newNames(org, keys))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists.Put(org, listAnswer{keys, body}, len(body))
	return body, nil
}

// sameKeys compares two lists. Most of the time they are one and the same.
func sameKeys(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// names is the list on the wire. The link to the list itself is there under two names, because the first readers knew
// it as "secrets" and InfluxDB sends "self".
type names struct {
	Links struct {
		Org     string `json:"org"`
		Self    string `json:"self"`
		Secrets string `json:"secrets"`
	} `json:"links"`
	Secrets  []string       `json:"secrets"`
	Versions map[string]int `json:"versions,omitzero"` // nil where they were not asked for
}

func newNames(org id.ID, keys []string) *names {
	n := &names{Secrets: keys}
	if keys == nil {
		n.Secrets = []string{} // not null
	}
	n.Links.Org = "/api/v2/orgs/" + org.String()
	n.Links.Self = n.Links.Org + "/secrets"
	n.Links.Secrets = n.Links.Self
	return n
}
