package ui

import (
	"context"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// counted is a store that counts bytes.
type counted struct{ secret.Store }

func (counted) Usage(context.Context, id.ID) (secret.Usage, error) {
	return secret.Usage{Amount: secret.Amount{Secrets: 1, Bytes: 1}}, nil
}

// TestRoomOfEarlierVersions names first the secret of which most is kept, whatever its version, and none of which
// nothing is kept but its value.
func TestRoomOfEarlierVersions(t *testing.T) {
	s, b := setUp(t)
	s.change(func(c *Config) {
		c.Quota = secret.Quota{Bytes: 1 << 20}
		c.Secrets = service.New(counted{s.store}, s.guard, s.users, s.uses, secret.Limits{})
	})
	for range 6 {
		s.put("destroyed", "partly")
	}
	s.put("once")
	for range 4 {
		s.put("most")
	}
	for key, versions := range map[string][]int{"destroyed": {1, 2, 3, 4, 5}, "partly": {1, 2, 3, 4}} {
		_, err := s.store.Mark(t.Context(), s.org, key, secret.Marking{Mark: secret.DestroyVersion, Versions: versions})
		s.must(err)
	}
	_, err := s.store.Mark(t.Context(), s.org, "most", secret.Marking{Mark: secret.DeleteVersion, Versions: []int{1}}) // its value is kept
	s.must(err)
	p := b.get(s.at(""))
	p.wants(t, 200, "These secrets have the most of them", "key=most", "key=partly")
	if strings.Index(p.body, "key=most") > strings.Index(p.body, "key=partly") {
		t.Error("a secret with one earlier version comes before one with three")
	}
	for _, not := range []string{"key=destroyed", "key=once"} {
		if strings.Contains(p.body, not) {
			t.Errorf("%q has nothing that could be destroyed", not)
		}
	}
}
