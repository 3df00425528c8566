package plan

import (
	"context"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Count is how much an organisation has: what its head says, or, where there was no quota when that was put, or the
// names have gone to another form since, what is counted now.
func Count(ctx context.Context, data kv.Store, org id.ID, said *commitlog.Count, names keyring.Names,
	page int) (*commitlog.Count, error) {
	if said != nil && said.Form == names.Form && !names.Moving {
		c := *said
		return &c, nil
	}
	c := &commitlog.Count{Form: names.Form}
	for _, prefix := range []string{records.Prefix(org), records.TrashPrefix(org)} {
		for after := ""; ; {
			recs, err := data.List(ctx, prefix, after, page)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				tally(c, org, rec.Key, len(rec.Value), 1)
				after = rec.Key
			}
			if len(recs) < page {
				break
			}
		}
	}
	return c, nil
}

// tally counts a record of a size in, or with the sign -1 out. The head, and that there are dates, count for nothing.
func tally(c *commitlog.Count, org id.ID, key string, size, sign int) {
	head := records.Head(org)
	if key == head || strings.HasPrefix(key, records.DatedRoot) {
		return
	}
	if strings.HasPrefix(key, head) {
		c.Secrets += int64(sign)
	}
	c.Bytes += int64(sign * (len(key) + size))
}

// count counts what a change of a record makes of the whole, before p.Records has it.
func (p *Plan) count(key string, value []byte) {
	if p.Head.Count == nil {
		return
	}
	// What cannot be read counts as nothing. It is counted anew when the names go to another form.
	if was, err := p.Read(key); err == nil && was != nil {
		tally(p.Head.Count, p.Org, key, len(was), -1)
	}
	if value != nil {
		tally(p.Head.Count, p.Org, key, len(value), 1)
	}
}

// uncount takes back what count has done, before p.Records has what was there.
func (p *Plan) uncount(was before) {
	if now := p.Records[was.key]; now != nil {
		tally(p.Head.Count, p.Org, was.key, len(now), -1)
	}
	value := was.value
	if !was.planned {
		value, _ = p.From.Read(p.ctx, nil, was.key) // as count
	}
	if value != nil {
		tally(p.Head.Count, p.Org, was.key, len(value), 1)
	}
}

// WithinQuota refuses the change that was planned last where it sets, brings back or describes secrets and there would
// be too much then.
func (p *Plan) WithinQuota() error {
	c := p.Head.Count
	if c == nil || !p.bounded {
		return nil
	}
	return p.Quota.Allows(secret.Amount{Secrets: c.Secrets, Bytes: c.Bytes + p.Beside},
		secret.Amount{Secrets: p.had.Secrets, Bytes: p.had.Bytes + p.Beside})
}
