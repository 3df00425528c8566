package vault

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/secret/vault/kv2"
)

// acl is what a token's policies give, as Vault tells: by exact path, and by the beginnings of paths. (It leaves out
// what policies say with + in the middle of a path.)
type acl struct {
	Root  bool
	Exact map[string]grant `json:"exact_paths"`
	Glob  map[string]grant `json:"glob_paths"`
}

type grant struct{ Capabilities []string }

// granted asks for the token's. known is false where it may not ask; Vault's default policy allows it.
func granted(ctx context.Context, client *api.Client) (a acl, known bool) {
	resp, err := client.Logical().ReadRawWithContext(ctx, "sys/internal/ui/resultant-acl")
	if err != nil {
		return a, false
	}
	defer resp.Body.Close()
	answer := struct{ Data *acl }{&a}
	return a, json.NewDecoder(resp.Body).Decode(&answer) == nil
}

// somewhere reports whether all the capabilities are given on some path of the pattern, whose + stands for any one
// segment, and whose * at its end for whatever follows.
func (a acl) somewhere(pattern string, capabilities []string) bool {
	if a.Root {
		return true
	}
	has := func(g grant) bool {
		return !slices.ContainsFunc(capabilities, func(c string) bool {
			return !slices.Contains(g.Capabilities, c) && !slices.Contains(g.Capabilities, "root")
		})
	}
	for p, g := range a.Exact {
		if has(g) && meet(pattern, p) {
			return true
		}
	}
	for p, g := range a.Glob {
		if has(g) && meet(pattern, p+"*") {
			return true
		}
	}
	return false
}

// meet reports whether some path is of both patterns.
func meet(a, b string) bool {
	if star, is := strings.CutSuffix(a, "*"); is && !strings.Contains(star, "/") {
		return begins(b, star)
	}
	if star, is := strings.CutSuffix(b, "*"); is && !strings.Contains(star, "/") {
		return begins(a, star)
	}
	firstA, restA, moreA := strings.Cut(a, "/")
	firstB, restB, moreB := strings.Cut(b, "/")
	if firstA != firstB && firstA != "+" && firstB != "+" || moreA != moreB {
		return false
	}
	return !moreA || meet(restA, restB)
}

// begins reports whether some path of the pattern begins so.
func begins(pattern, with string) bool {
	first, _, _ := strings.Cut(pattern, "/")
	if star, is := strings.CutSuffix(first, "*"); is {
		return strings.HasPrefix(star, with) || strings.HasPrefix(with, star)
	}
	return first == "+" || strings.HasPrefix(first, with)
}

// anyone reports whether the token's policies give the capabilities for some organisation of the place. known is false
// where Vault does not tell.
func anyone(ctx context.Context, l kv2.Location, kind string, capabilities []string) (some, known bool) {
	a, known := granted(ctx, l.Client)
	if !known {
		return false, false
	}
	pattern := glob(l.Place, kind)
	if a.somewhere(pattern, capabilities) {
		return true, true
	}
	// In a namespace, paths may be told from the root one.
	return l.Namespace != "" && a.somewhere(path.Join(l.Namespace, pattern), capabilities), true
}
