// Package due looks which secrets should have been replaced, and which soon should be. It counts them for the metrics,
// and tells a webhook of each, once for each of the two stages.
//
// What the webhook has been told is a record due/<org>/<mac>, where mac is the HMAC-SHA-256 of the secret's name, its
// date and the stage under a key of its own: the records tell whoever has the file how many there are, and no name.
package due

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// Prefix is what the keys of the records begin with.
const Prefix = "due/"

// Label names the key of the records among those derived from the keyring.
const Label = "strongroom/v1/secret/due"

// Stage is how far it is with a secret.
type Stage string

// The stages.
const (
	Soon    Stage = "soon"    // its value should be replaced within the time that the configuration says
	Overdue Stage = "overdue" // it should have been replaced
)

// Org is an organisation by ID and name.
type Org struct {
	ID   id.ID
	Name string
}

// Config is what New needs.
type Config struct {
	Store secret.Store
	KV    kv.Store
	// Orgs gives all; with kv.ErrForged those whose records open.
	Orgs func(ctx context.Context) ([]Org, error)
	// Org gives one of them, ok false where it is not there.
	Org   func(ctx context.Context, org id.ID) (_ Org, ok bool, err error)
	Key   []byte        // of the records, 32 bytes
	Soon  time.Duration // before the date a secret is Soon
	Every time.Duration // how often all secrets are looked at
	Hook  *Webhook      // nil: nobody is told
	// Fault, where set, hears of each secret that is passed by, since its record does not open.
	Fault func(error)
	Log   *slog.Logger
}

// Watch is who looks. Make it with New. It is a prometheus.Collector.
type Watch struct {
	Config
	now func() time.Time

	mu     sync.Mutex
	counts map[id.ID]counts
	looked time.Time
	sent   map[bool]uint64 // by whether it was taken
}

type counts struct{ soon, overdue int }

// New makes one that has not looked yet.
func New(c Config) *Watch { return &Watch{Config: c, now: time.Now, sent: map[bool]uint64{}} }

// The pauses after a look that failed, each twice as long as the one before, and never longer than Every.
const firstPause = time.Minute

// Run looks at once, and then every while, until ctx ends. What it has counted is forgotten then: another server looks.
func (w *Watch) Run(ctx context.Context) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.counts, w.looked = nil, time.Time{}
	}()
	failing := false
	for pause := firstPause; ; {
		err := w.Look(ctx)
		wait := w.Every
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if failing {
				w.Log.Info("secrets that are due can be looked for and told of again")
			}
			failing, pause = false, firstPause
		default:
			if !failing {
				w.Log.Warn("looking for secrets that are due, or telling of them, failed and will be tried again",
					"error", err)
			}
			failing = true
			wait, pause = min(pause, w.Every), min(2*pause, w.Every)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// lookTime bounds the look at one organisation.
const lookTime = 5 * time.Minute

// Look looks at all organisations once. What cannot be looked at keeps no other from being looked at.
func (w *Watch) Look(ctx context.Context) error {
	orgs, err := w.orgs(ctx)
	lost := errors.Is(err, kv.ErrForged) // some of them
	if err != nil && !lost {
		return err
	}
	w.mu.Lock()
	before := w.counts
	w.mu.Unlock()
	found := make(map[id.ID]counts)
	var all []error
	if lost {
		all = append(all, err)
	}
	told := true // while the webhook takes what it is told
	for _, org := range orgs {
		infos, err := w.infos(ctx, org.ID)
		unread, err := secret.Apart(err)
		if unread != nil {
			w.passBy(ctx, org.ID, unread)
		}
		if err != nil {
			all = append(all, err)
			if c, ok := before[org.ID]; ok {
				found[org.ID] = c
			}
			continue
		}
		keep := make(map[string]bool)
		now := w.now()
		c := counts{}
		for _, info := range infos {
			stage := w.stage(info.Expires, now)
			switch stage {
			case "":
				continue
			case Soon:
				c.soon++
			case Overdue:
				c.overdue++
				keep[w.record(org.ID, info, Soon)] = true
			}
			record := w.record(org.ID, info, stage)
			keep[record] = true
			if w.Hook != nil && told {
				if err := w.tell(ctx, record, org, info, stage); err != nil {
					all, told = append(all, err), false // it is away: the rest is told another time
				}
			}
		}
		if c != (counts{}) {
			found[org.ID] = c
		}
		if unread != nil { // what was told of those is not known to be due no more
			continue
		}
		if err := w.sweep(ctx, org.ID, keep); err != nil {
			all = append(all, err)
		}
	}
	if !lost {
		if err := w.sweepOrgs(ctx, orgs); err != nil {
			all = append(all, err)
		}
	}
	w.mu.Lock()
	w.counts, w.looked = found, w.now()
	w.mu.Unlock()
	if len(all) > 1 { // an outage is one for all organisations, nearly always
		return fmt.Errorf("%w (and %d more)", all[0], len(all)-1)
	}
	return errors.Join(all...)
}

// passBy tells of secrets of which it is not known whether they are due. They keep nobody from hearing of the others,
// and are no reason to look again sooner.
func (w *Watch) passBy(ctx context.Context, org id.ID, u *secret.Unread) {
	for i, err := range u.Errs {
		if w.Fault != nil {
			w.Fault(err)
		}
		if i < maxNamed {
			w.Log.ErrorContext(ctx, "whether a secret is due is not known, since its record does not open", "org", org,
				"secret", u.Keys[i], "error", err)
		}
	}
	if more := len(u.Errs) - maxNamed; more > 0 {
		w.Log.ErrorContext(ctx, "there are more such secrets; influxd check names them", "org", org, "more", more)
	}
}

// maxNamed bounds how many such secrets of an organisation a look names.
const maxNamed = 20

// orgs are the organisations to look at: those that have secrets with a date, where the store knows them, or all.
func (w *Watch) orgs(ctx context.Context) ([]Org, error) {
	dated, ok := secret.As[secret.Dated](w.Store)
	if !ok {
		return w.Orgs(ctx)
	}
	ids, err := dated.DatedOrgs(ctx)
	if err != nil {
		return nil, err
	}
	var orgs []Org
	for _, org := range ids {
		o, ok, err := w.Org(ctx, org)
		if errors.Is(err, kv.ErrForged) { // its secrets are due all the same
			o, ok, err = Org{ID: org}, true, nil
		}
		if err != nil {
			return nil, err
		}
		if ok {
			orgs = append(orgs, o)
		}
	}
	return orgs, nil
}

func (w *Watch) infos(ctx context.Context, org id.ID) ([]secret.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if dated, ok := secret.As[secret.Dated](w.Store); ok {
		return dated.DatedInfos(ctx, org)
	}
	infos, err := w.Store.Infos(ctx, org, secret.Page{})
	if errs.Is(err, errs.NotImplemented) { // there are no dates
		return nil, nil
	}
	return infos, err
}

func (w *Watch) stage(expires, now time.Time) Stage {
	switch {
	case expires.IsZero() || expires.After(now.Add(w.Soon)):
		return ""
	case expires.After(now):
		return Soon
	}
	return Overdue
}

func folder(org id.ID) string { return Prefix + org.String() + "/" }

// record is the key of what has been told. Another date is another.
func (w *Watch) record(org id.ID, info secret.Info, stage Stage) string {
	mac := hmac.New(sha256.New, w.Key)
	// All but the name, which comes last, have no slash.
	mac.Write([]byte(org.String() + "/" + string(stage) + "/" + info.Expires.UTC().Format(time.RFC3339Nano) + "/" +
		info.Key))
	return folder(org) + hex.EncodeToString(mac.Sum(nil))
}

// tell tells the webhook, unless it has been told. What has been told and could not be noted is told again, under the
// same ID.
func (w *Watch) tell(ctx context.Context, record string, org Org, info secret.Info, stage Stage) error {
	_, err := w.KV.Get(ctx, record)
	if err == nil || !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	err = w.Hook.send(ctx, notice{
		ID: record[len(folder(org.ID)):], Type: "secret.due", Stage: stage, OrgID: org.ID.String(), Org: org.Name,
		Key: info.Key, ExpiresAt: info.Expires.UTC(), UpdatedAt: info.Updated.UTC(), SentAt: w.now().UTC(),
	})
	w.mu.Lock()
	w.sent[err == nil]++
	w.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = w.KV.Txn(ctx, nil, []kv.Op{kv.Put(record, []byte{1})})
	return err
}

// sweep removes the records of what is due no more.
func (w *Watch) sweep(ctx context.Context, org id.ID, keep map[string]bool) error {
	for after := ""; ; {
		rs, err := w.KV.List(ctx, folder(org), after, kv.MaxOps)
		if err != nil || len(rs) == 0 {
			return err
		}
		var ops []kv.Op
		for _, r := range rs {
			if after = r.Key; !keep[r.Key] {
				ops = append(ops, kv.Delete(r.Key))
			}
		}
		if len(ops) > 0 {
			if _, err := w.KV.Txn(ctx, nil, ops); err != nil {
				return err
			}
		}
	}
}

// sweepOrgs removes the records of organisations that were not looked at: they are no more, or nothing of them is due.
func (w *Watch) sweepOrgs(ctx context.Context, orgs []Org) error {
	there := make(map[string]bool, len(orgs))
	for _, o := range orgs {
		there[folder(o.ID)] = true
	}
	for after := Prefix; ; {
		first, err := w.KV.List(ctx, Prefix, after, 1)
		if err != nil || len(first) == 0 {
			return err
		}
		end := strings.LastIndexByte(first[0].Key, '/') + 1
		of := first[0].Key[:end]
		after = of + "~" // behind every hexadecimal digit
		if of == Prefix || there[of] {
			continue
		}
		if _, err := w.KV.Txn(ctx, nil, []kv.Op{kv.DeletePrefix(of)}); err != nil {
			return err
		}
	}
}

// maxOrgs is of how many organisations, those with the most, metrics tell by ID. The others are one.
const maxOrgs = 100

var (
	overdueDesc = prometheus.NewDesc("strongroom_secrets_overdue",
		"Secrets whose values should have been replaced, by organization.", []string{"org"}, nil)
	soonDesc = prometheus.NewDesc("strongroom_secrets_due_soon",
		"Secrets whose values should be replaced within --secret-due-soon, by organization.", []string{"org"}, nil)
	lookedDesc = prometheus.NewDesc("strongroom_secrets_due_looked_timestamp_seconds",
		"When all secrets were last looked at for that; absent on servers that do not, because another does.", nil, nil)
	sentDesc = prometheus.NewDesc("strongroom_secrets_due_notices_total",
		"Notices to --secret-due-webhook by how they ended: sent, or failed.", []string{"outcome"}, nil)
)

// Describe sends the descriptions of all that Collect sends.
func (w *Watch) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{overdueDesc, soonDesc, lookedDesc, sentDesc} {
		to <- d
	}
}

// Collect sends what the last look has counted.
func (w *Watch) Collect(to chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	for ok, outcome := range map[bool]string{true: "sent", false: "failed"} {
		to <- prometheus.MustNewConstMetric(sentDesc, prometheus.CounterValue, float64(w.sent[ok]), outcome)
	}
	if w.looked.IsZero() {
		return
	}
	gauge(lookedDesc, float64(w.looked.Unix()))
	orgs := slices.SortedFunc(maps.Keys(w.counts), func(a, b id.ID) int {
		if n := w.counts[b].overdue + w.counts[b].soon - w.counts[a].overdue - w.counts[a].soon; n != 0 {
			return n
		}
		return strings.Compare(a.String(), b.String())
	})
	var others counts // there also where they are none, so that sums and alerts find a series
	for i, org := range orgs {
		c := w.counts[org]
		if i >= maxOrgs {
			others.soon, others.overdue = others.soon+c.soon, others.overdue+c.overdue
			continue
		}
		gauge(overdueDesc, float64(c.overdue), org.String())
		gauge(soonDesc, float64(c.soon), org.String())
	}
	gauge(overdueDesc, float64(others.overdue), "other")
	gauge(soonDesc, float64(others.soon), "other")
}

// Check looks at every record in store, and reports those that are malformed by their keys.
func Check(ctx context.Context, store kv.Store, report func(key, what string)) error {
	for r, err := range kv.Each(ctx, store, Prefix, 512) {
		if err != nil {
			return err
		}
		org, mac, _ := strings.Cut(strings.TrimPrefix(r.Key, Prefix), "/")
		raw, bad := hex.DecodeString(mac)
		if _, err := id.Parse(org); err != nil || bad != nil || len(raw) != sha256.Size {
			report(r.Key, "its key is malformed")
		}
	}
	return nil
}
