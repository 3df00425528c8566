package system

import (
	"net/url"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
)

type activity struct {
	Rows     []trail.Row
	Filter   activityForm
	Filtered bool
	Next     string // link to the next page
	Missing  []audit.Absent
	None     string // why nothing can be shown; "" where it can
	Actions  []action
	Spans    []span
	Outcomes []string
	Path     string // of the page
	OfOrg    bool   // it is of one organisation
	Table    string // links to what is shown as a file
	Lines    string
}

// activityForm is the filter. Since is a span, From and Until are days.
type activityForm struct{ Actor, Key, Prefix, Action, Outcome, Org, Since, From, Until string }

type action struct{ Name, Words string }

type span struct {
	Name, Words string
	length      time.Duration
}

// everything is the filter's word for acts that change nothing too. Whoever comes to see who did what is not shown,
// unasked, every look at every page, this one's included.
const everything = "all"

// day is how a field for a day has it.
const day = "2006-01-02"

// actsShown is how many acts a page holds.
const actsShown = 50

// actions are the groups that the filter offers.
var actions = []action{
	{"", "changes and refusals"}, {everything, "everything"}, {"secrets", "secrets: all"},
	{"secrets.list", "secrets: names listed"}, {"secrets.apply", "secrets: set"}, {"secrets.use", "secrets: used"},
	{"secrets.delete", "secrets: deleted"}, {"secrets.restore", "secrets: restored"}, {"authorizations", "tokens"},
	{"orgs", "organisations and members"}, {"users", "people and passwords"}, {"signin", "sign-ins"},
	{"seal", "the seal and keys"}, {"audit", "the audit log"},
}

var spans = []span{{"", "ever", 0}, {"1h", "the last hour", time.Hour}, {"24h", "the last day", 24 * time.Hour},
	{"168h", "the last week", 7 * 24 * time.Hour}, {"720h", "the last 30 days", 30 * 24 * time.Hour}}

// activityPage shows what was done on the whole server, to operators.
func (h *handlers) activityPage(v *visit.Visit) (visit.Answer, error) {
	return h.activity(v, "/activity", "")
}

// orgActivityPage shows its owners what was done in one organisation.
func (h *handlers) orgActivityPage(v *visit.Visit) (visit.Answer, error) {
	return h.activity(v, v.At("/activity"), v.Org.String())
}

func (h *handlers) activity(v *visit.Visit, path, org string) (visit.Answer, error) {
	q := v.URL.Query()
	p := activity{Actions: actions, Spans: spans, Outcomes: []string{"allowed", "denied", "failed"},
		Path: path, OfOrg: org != "", Filter: activityForm{Actor: strings.TrimSpace(q.Get("actor")), Key: q.Get("key"),
			Prefix: q.Get("prefix"), Action: q.Get("action"), Outcome: q.Get("outcome"), Org: q.Get("org"),
			Since: q.Get("since"), From: q.Get("from"), Until: q.Get("until")}}
	if p.OfOrg {
		p.Filter.Org = ""
	}
	page := visit.Answer{Page: "activity.html", Wide: true, Title: "Activity"}
	p.Filtered = p.Filter != activityForm{}
	f, err := p.Filter.filter(h.Now())
	if p.OfOrg {
		f.OrgID = org
	}
	if err == nil && q.Get("format") != "" {
		return h.download(v, f, q.Get("format"))
	}
	q.Del("format")
	p.Table, p.Lines = fileLink(path, q, "csv"), fileLink(path, q, "jsonl")
	var before audit.Before
	if err == nil {
		if before, err = audit.ParseBefore(q.Get("before")); err != nil {
			err = errs.New(errs.Invalid, "the link to this page is not complete; go back to the first page")
		}
	}
	var found audit.Acts
	if err == nil {
		err = v.Hold(actsShown * audit.RecordSize)
	}
	if err == nil {
		found, err = h.Trail.Acts(v.Context(), v.Caller, f, before)
	}
	p.Missing = found.Missing
	if err == nil {
		p.Rows, err = h.Trail.Tell(v.Context(), v.Caller, found.Records)
	}
	if found.Next != "" {
		q.Set("before", found.Next)
		p.Next = "?" + q.Encode()
	}
	page.Data = p
	switch {
	case errs.Is(err, errs.NotImplemented):
		return visit.Answer{Page: page.Page, Title: page.Title, Data: activity{None: errs.Message(err)}}, nil
	case errs.Is(err, errs.Unauthorized):
		return visit.Answer{}, err
	}
	return page, err
}

func (f activityForm) filter(now time.Time) (audit.Filter, error) {
	a := audit.Filter{OrgID: f.Org, Key: f.Key, Prefix: f.Prefix, Actor: f.Actor, Action: f.Action,
		Outcome: audit.Outcome(f.Outcome), Limit: actsShown}
	switch f.Action {
	case "":
		a.Changes = true
	case everything:
		a.Action = ""
	}
	if err := validID(f.Org); err != nil {
		return a, errs.New(errs.Invalid, "an organisation is named by its ID of 16 characters here")
	}
	switch a.Outcome {
	case "", audit.Allowed, audit.Denied, audit.Failed:
	default:
		return a, errs.New(errs.Invalid, "outcome must be allowed, denied or failed")
	}
	for _, s := range spans {
		if s.Name == f.Since && s.length > 0 {
			a.Since = now.Add(-s.length)
		}
	}
	for _, d := range []struct {
		day  string
		into *time.Time
		plus int
	}{{f.From, &a.Since, 0}, {f.Until, &a.Until, 1}} {
		if d.day == "" {
			continue
		}
		t, err := time.Parse(day, d.day)
		if err != nil {
			return a, errs.New(errs.Invalid, "a day is written as year-month-day, for example 2027-01-31")
		}
		*d.into = t.AddDate(0, 0, d.plus)
	}
	return a, nil
}

// Link is the filter with one more thing chosen, for the rows' links.
func (f activityForm) Link(field, value string) string {
	q := url.Values{}
	for k, v := range map[string]string{"actor": f.Actor, "key": f.Key, "action": f.Action, "outcome": f.Outcome,
		"org": f.Org, "since": f.Since, "prefix": f.Prefix, "from": f.From, "until": f.Until, field: value} {
		if v != "" || k == field {
			q.Set(k, v)
		}
	}
	return "?" + q.Encode()
}

// validID is an ID as a filter takes it: empty, or 16 hexadecimal characters.
func validID(s string) error {
	if s == "" {
		return nil
	}
	_, err := id.Parse(s)
	return err
}
