package secrets

import (
	"time"

	"strongroom/internal/ui/visit"
)

// exportNames gives the names with what is known of each, as a table, and no value.
func (h *handlers) exportNames(v *visit.Visit) (visit.Answer, error) {
	rows, err := h.rows(v)
	if err != nil {
		return visit.Answer{}, err
	}
	table := [][]string{{"name", "updated", "by", "last used", "replace by"}}
	for _, r := range rows {
		table = append(table, []string{r.Name, timeOf(r.Updated), r.By, timeOf(r.Used), timeOf(r.Due)})
	}
	file, err := visit.Sheet("names.csv", table)
	return visit.Answer{File: file}, err
}

func timeOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
