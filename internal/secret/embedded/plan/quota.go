package plan

import (
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Tally counts a record of a size in, or with the sign -1 out. The head, and that there are dates, count for nothing.
func Tally(c *commitlog.Count, org id.ID, key string, size, sign int) {
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
		Tally(p.Head.Count, p.Org, key, len(was), -1)
	}
	if value != nil {
		Tally(p.Head.Count, p.Org, key, len(value), 1)
	}
}

// uncount takes back what count has done, before p.Records has what was there.
func (p *Plan) uncount(was before) {
	if now := p.Records[was.key]; now != nil {
		Tally(p.Head.Count, p.Org, was.key, len(now), -1)
	}
	value := was.value
	if !was.planned {
		value, _ = p.From.Read(p.ctx, nil, was.key) // as count
	}
	if value != nil {
		Tally(p.Head.Count, p.Org, was.key, len(value), 1)
	}
}

// WithinQuota refuses the change that was planned last where it sets or brings back secrets and there would be too much
// then.
func (p *Plan) WithinQuota() error {
	c := p.Head.Count
	if c == nil || p.versions == nil {
		return nil
	}
	return p.Quota.Allows(secret.Amount{Secrets: c.Secrets, Bytes: c.Bytes},
		secret.Amount{Secrets: p.had.Secrets, Bytes: p.had.Bytes})
}
