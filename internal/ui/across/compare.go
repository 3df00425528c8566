package across

import (
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/natural"
	"strongroom/internal/ui/visit"
)

// comparison is which names two organisations do not have in common.
type comparison struct {
	Choice // to compare with
	With   Org
	Both   int
	Here   missing // there, and not here
	There  missing // here, and not there
	Chosen bool
}

type missing struct {
	Names []string
	More  int
}

// comparedShown bounds the names of each list.
const comparedShown = 500

func (m *missing) cut() {
	slices.SortFunc(m.Names, natural.Compare)
	m.More = max(0, len(m.Names)-comparedShown)
	m.Names = m.Names[:len(m.Names)-m.More]
}

func (h *handlers) comparePage(v *visit.Visit) (visit.Answer, error) {
	page := visit.Answer{Page: "compare.html", Title: "Compare"}
	offered, err := h.Orgs.Offer(v, func(org id.ID) bool {
		return org != v.Org && v.Caller.MaySome(access.Read, org)
	})
	if err != nil {
		return visit.Answer{}, err
	}
	c := comparison{Choice: offered}
	if with := v.URL.Query().Get("with"); with != "" {
		if c.With, err = h.Orgs.Named(v.Context(), v.Caller, with); err == nil {
			err = h.compare(v, &c)
		}
	}
	page.Data = c
	return page, err
}

func (h *handlers) compare(v *visit.Visit, c *comparison) error {
	here, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return err
	}
	there, err := h.Secrets.Keys(v.Context(), v.Caller, c.With.ID)
	if err != nil {
		return err
	}
	c.Chosen = true
	for _, k := range there {
		if _, is := slices.BinarySearch(here, k); is {
			c.Both++
		} else {
			c.Here.Names = append(c.Here.Names, k)
		}
	}
	for _, k := range here {
		if _, is := slices.BinarySearch(there, k); !is {
			c.There.Names = append(c.There.Names, k)
		}
	}
	c.Here.cut()
	c.There.cut()
	return nil
}
