package secrets

import (
	"fmt"
	"testing"

	"strongroom/internal/secret"
)

func TestPagesOfDeleted(t *testing.T) {
	var infos []secret.Info
	for i := range 250 {
		infos = append(infos, secret.Info{Key: fmt.Sprintf("K%03d", i)})
	}
	for name, tt := range map[string]struct {
		search       string
		page         int
		first        string
		shown        int
		before, next string
	}{
		"first":       {"", 0, "K000", 100, "", "?q=&page=1"},
		"last":        {"", 2, "K200", 50, "?q=&page=1", ""},
		"beyond":      {"", 99, "K200", 50, "?q=&page=1", ""},
		"search":      {"k00", 0, "K000", 10, "", ""},
		"search more": {"k1", 0, "K100", 100, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := deletedList{Search: tt.search}
			l.page(append([]secret.Info(nil), infos...), tt.page)
			if l.Total != 250 || len(l.Shown) != tt.shown || l.Shown[0].Key != tt.first || l.Before != tt.before ||
				l.Next != tt.next {
				t.Errorf("%d of %d shown, before %q, next %q", len(l.Shown), l.Total, l.Before, l.Next)
			}
		})
	}
}
