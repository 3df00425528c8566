// Package paths says where secrets lie in Vault that are an entry each: the paths of their names, what their entries
// hold, and what stands in the entries' custom metadata.
package paths

import (
	"context"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// At is where the organisation's entries are.
func At(ctx context.Context, places *kv2.Places, org id.ID) (kv2.Location, error) {
	at, err := places.At(ctx, org)
	at.Holds = "the secret"
	return at, err
}

// List gives the paths of the entries that are ours, folder by folder. The latest version of some may be deleted.
func List(ctx context.Context, at kv2.Location) (map[string]bool, error) {
	found := make(map[string]bool)
	folders := []string{""}
	for range maxFolders + 1 {
		answers := make([][]string, len(folders))
		err := conn.Each(ctx, len(folders), func(ctx context.Context, i int) (err error) {
			answers[i], err = at.Below(folders[i]).List(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		var next []string
		for i, names := range answers {
			for _, n := range names {
				n = folders[i] + n
				if folder, is := strings.CutSuffix(n, "/"); !is {
					if _, ours := NameAt(n); ours {
						found[n] = true
					}
				} else if _, ours := NameAt(folder); ours {
					next = append(next, n)
				}
			}
		}
		if folders = next; len(folders) == 0 {
			break
		}
	}
	return found, nil
}
