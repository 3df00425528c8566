package accounts

import (
	"net/http"
	"time"

	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/buckets"
)

type bucketJSON struct {
	ID             id.ID             `json:"id"`
	OrgID          id.ID             `json:"orgID"`
	Type           string            `json:"type"`
	Name           string            `json:"name"`
	Description    string            `json:"description,omitempty"`
	RetentionRules []ruleJSON        `json:"retentionRules"`
	CreatedAt      time.Time         `json:"createdAt"`
	UpdatedAt      time.Time         `json:"updatedAt"`
	Links          map[string]string `json:"links"`
	Labels         []struct{}        `json:"labels"`
}

// ruleJSON is a retention in seconds; 0 keeps for ever.
type ruleJSON struct {
	Type                      string `json:"type"`
	EverySeconds              int64  `json:"everySeconds"`
	ShardGroupDurationSeconds int64  `json:"shardGroupDurationSeconds,omitempty"`
}

func bucketBody(b identity.Bucket) bucketJSON {
	self := "/api/v2/buckets/" + b.ID.String()
	org := b.OrgID.String()
	return bucketJSON{
		ID: b.ID, OrgID: b.OrgID, Type: b.Type, Name: b.Name, Description: b.Description, CreatedAt: b.CreatedAt,
		UpdatedAt: b.UpdatedAt, RetentionRules: []ruleJSON{{"expire", int64(b.Retention / time.Second),
			shardGroup(b.Retention)}},
		Labels: []struct{}{},
		Links: map[string]string{"self": self, "org": "/api/v2/orgs/" + org, "members": self + "/members",
			"owners": self + "/owners", "labels": self + "/labels", "write": "/api/v2/write?org=" + org + "&bucket=" +
				b.ID.String()},
	}
}

// shardGroup is the duration that InfluxDB gives a retention's shard groups by default (v1/services/meta: an hour up to
// two days, a day up to six months, else a week). There are no shards here; clients show the number.
func shardGroup(retention time.Duration) int64 {
	switch {
	case retention == 0 || retention >= 180*24*time.Hour:
		return 7 * 24 * 3600
	case retention >= 2*24*time.Hour:
		return 24 * 3600
	}
	return 3600
}

// everySeconds is the retention that rules ask for; nil where there are no rules.
func everySeconds(rules []ruleJSON) (*time.Duration, error) {
	if rules == nil {
		return nil, nil
	}
	var d time.Duration
	var err error
	if len(rules) > 0 {
		d, err = retentionOf(rules[0].EverySeconds)
	}
	return &d, err
}

func (h *handlers) getBuckets(w http.ResponseWriter, r *exchange.Request) error {
	p, err := page(r, defaultLimit, maxLimit)
	if err != nil {
		return err
	}
	q := r.Query()
	f := buckets.Filter{Name: q.Get("name"), OrgName: q.Get("org")}
	if f.ID, err = r.QueryID("id"); err != nil {
		return err
	}
	if f.Org, err = r.QueryID("orgID"); err != nil {
		return err
	}
	buckets, err := h.directory.Buckets(r.Context(), r.Caller, f, p)
	if err != nil {
		return err
	}
	list := make([]bucketJSON, len(buckets))
	for i, b := range buckets {
		list[i] = bucketBody(b)
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{"links": pageLinks(r.URL, p, len(list)),
		"buckets": list})
}

func (h *handlers) postBucket(w http.ResponseWriter, r *exchange.Request) error {
	var body struct {
		OrgID          id.ID      `json:"orgID"`
		Name           string     `json:"name"`
		Description    string     `json:"description"`
		RetentionRules []ruleJSON `json:"retentionRules"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	if !body.OrgID.Valid() {
		return errMissing("org id")
	}
	b := identity.Bucket{OrgID: body.OrgID, Name: body.Name, Description: body.Description}
	retention, err := everySeconds(body.RetentionRules)
	if err != nil {
		return err
	}
	if retention != nil {
		b.Retention = *retention
	}
	if b, err = h.directory.NewBucket(r.Context(), r.Caller, b); err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusCreated, bucketBody(b))
}

func (h *handlers) getBucket(w http.ResponseWriter, r *exchange.Request) error {
	bucket, err := r.PathID("bucketID")
	if err != nil {
		return err
	}
	b, err := h.directory.BucketByID(r.Context(), r.Caller, bucket)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, bucketBody(b))
}

func (h *handlers) patchBucket(w http.ResponseWriter, r *exchange.Request) error {
	bucket, err := r.PathID("bucketID")
	if err != nil {
		return err
	}
	var body struct {
		Name           *string    `json:"name"`
		Description    *string    `json:"description"`
		RetentionRules []ruleJSON `json:"retentionRules"`
	}
	if err := r.Decode(&body); err != nil {
		return err
	}
	retention, err := everySeconds(body.RetentionRules)
	if err != nil {
		return err
	}
	b, err := h.directory.UpdateBucket(r.Context(), r.Caller, bucket, body.Name, body.Description, retention)
	if err != nil {
		return err
	}
	return exchange.WriteJSON(w, http.StatusOK, bucketBody(b))
}

func (h *handlers) deleteBucket(w http.ResponseWriter, r *exchange.Request) error {
	bucket, err := r.PathID("bucketID")
	if err != nil {
		return err
	}
	if err := h.directory.DeleteBucket(r.Context(), r.Caller, bucket); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
