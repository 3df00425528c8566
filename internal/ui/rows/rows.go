// Package rows makes rows of a list of what is known of secrets.
package rows

import (
	"slices"
	"time"

	"strongroom/internal/natural"
	"strongroom/internal/secret"
	"strongroom/internal/ui/listing"
)

// Of makes rows of what is known of secrets, and of names of which nothing is, in the natural order of their names.
func Of(infos []secret.Info, now time.Time, names ...string) []listing.Row {
	rows, known := make([]listing.Row, 0, len(infos)+len(names)), make([]listing.Known, len(infos))
	for i, info := range infos {
		known[i] = listing.Known{Created: info.Created, Updated: info.Updated, Used: info.Used, Due: info.Expires,
			By: info.By}
		known[i].Judge(now)
		rows = append(rows, listing.Row{Name: info.Key, Known: &known[i]})
	}
	for _, name := range names {
		rows = append(rows, listing.Row{Name: name})
	}
	byName := func(a, b listing.Row) int { return natural.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(rows, byName) {
		slices.SortFunc(rows, byName)
	}
	return rows
}
