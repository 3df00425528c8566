package system

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
)

// recordCost is what a record of a page counts for while the page is made, in bytes, and largestRecord is what the last
// one may have more than that: a thousand names of 1 KiB each.
const (
	recordCost    = audit.RecordSize
	largestRecord = 1 << 20
)

// getAudit serves the audit log to operators, newest first. Query: orgID, key, actor (a user's name or ID, or an
// authorization's ID), action, outcome, since and until (RFC 3339), limit, and before for the
// next page. Of several servers it has the acts of all, and names those whose acts are missing.
func (h *handlers) getAudit(w http.ResponseWriter, r *exchange.Request) error {
	f, err := auditFilter(r)
	if err != nil {
		return err
	}
	before, err := audit.ParseBefore(r.Query().Get("before"))
	if err != nil {
		return err
	}
	act := access.Act{Action: "audit.read"}
	if err := h.Guard.Allow(r.Context(), r.Caller, act, operator); err != nil {
		return err
	}
	if h.Trail == nil {
		return errs.New(errs.NotImplemented, "there is no audit log to read; start influxd with a file in --audit-log")
	}
	if err := r.Hold(int64(cmp.Or(f.Limit, audit.DefaultLimit))*recordCost + largestRecord); err != nil {
		return err
	}
	page, err := h.Trail.Query(r.Context(), f, before)
	if err != nil {
		return h.Guard.Done(r.Context(), r.Caller, act, err)
	}
	links := map[string]string{"self": r.URL.RequestURI()}
	if page.Next != "" {
		q := r.URL.Query() // a copy, to be changed
		q.Set("before", page.Next)
		links["next"] = r.URL.Path + "?" + q.Encode()
	}
	records := page.Records
	if records == nil {
		records = []audit.Record{}
	}
	out := map[string]any{"links": links, "records": records}
	if len(page.Missing) > 0 {
		out["missing"] = page.Missing
	}
	return exchange.WriteJSON(w, http.StatusOK, out)
}

func auditFilter(r *exchange.Request) (audit.Filter, error) {
	q := r.Query()
	f := audit.Filter{Key: q.Get("key"), Actor: q.Get("actor"), Action: q.Get("action"),
		Outcome: audit.Outcome(q.Get("outcome"))}
	org, err := r.QueryID("orgID")
	if err != nil {
		return f, err
	}
	if org.Valid() {
		f.OrgID = org.String()
	}
	switch f.Outcome {
	case "", audit.Allowed, audit.Denied, audit.Failed:
	default:
		return f, errs.New(errs.Invalid, "outcome must be allowed, denied or failed")
	}
	if f.Action != "" && !audit.Chooses(f.Action) {
		return f, errs.New(errs.Invalid, "action must be one of %s, or what begins some of them, such as secrets",
			strings.Join(audit.Actions, ", "))
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if s := q.Get(name); s != "" {
			if *at, err = time.Parse(time.RFC3339, s); err != nil {
				return f, errs.New(errs.Invalid,
					"%s must be a time as in RFC 3339, for example 2026-01-31T12:00:00Z", name)
			}
		}
	}
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit < 1 || f.Limit > audit.MaxLimit {
			return f, errs.New(errs.Invalid, "limit must be between 1 and %d", audit.MaxLimit)
		}
	}
	return f, nil
}
