package ui

import (
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/secret"
)

// TestUnreadSecret damages what is known of a secret. The lists show the others, name it, and say that it may be due; what
// is to be whole is refused.
func TestUnreadSecret(t *testing.T) {
	s, b := setUp(t)
	s.put("a", "lost", "z")
	s.must(s.store.Describe(t.Context(), s.org, "z", secret.Description{Expires: time.Now().Add(time.Hour)}))
	damaged := 0
	for key, value := range kvtest.All(t, s.data) {
		if strings.HasPrefix(key, "secrets/"+s.org.String()+"/m/") && strings.HasSuffix(key, "/lost") {
			damaged++
			value[len(value)/2] ^= 1
			_, err := s.data.Txn(t.Context(), nil, []kv.Op{kv.Put(key, value)})
			s.must(err)
		}
	}
	if damaged != 1 {
		t.Fatalf("%d records are damaged", damaged)
	}
	const link = `/secret?key=lost"`
	b.get("/due").wants(t, 200, `id="unread"`, link, "not known whether they are due", ">z<")
	b.get("/orgs").wants(t, 200, "2 due within 30 days")
	for _, query := range []string{"", "?sort=due", "?show=due"} {
		b.get(s.at("/secrets"+query)).wants(t, 200, `id="unread"`, link, "1 secret", "may be due", ">z<")
	}
	b.get(s.at("/secrets")).wants(t, 200, "3 secrets", ">a<")
	b.get(s.at("/secrets/export")).wants(t, 500, "lost")
	b.get(s.at("/secrets/dates")).wants(t, 500, "lost")
	b.get(s.at("/secret?key=lost")).wants(t, 500, "restore a backup")
	rita := s.member("rita", "")
	if p := rita.get("/due"); strings.Contains(p.body, "lost") {
		t.Error("a stranger is told of it")
	}
}
