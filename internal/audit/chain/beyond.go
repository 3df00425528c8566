package chain

import (
	"bytes"
	"encoding/json"
	"time"

	"strongroom/internal/audit"
)

// markedWithin is how long a server writes lines at the most before it saves a mark, with room to spare: it saves one
// every ten seconds, and when it ends in order.
const markedWithin = time.Minute

// Beyond tells from the lines behind a mark whether the data that keep the mark are older than the log: put back from
// a copy. After a crash there are a few lines more than the mark knows of; what a server has written for longer, or
// before it ended in order, a mark was saved after. The zero value has seen no line.
type Beyond struct {
	began time.Time // the first line behind the mark, or of a start after it
	From  uint64    // the first line behind the mark
	Since time.Time // and its time
	// Older says that the data are older than the log, or were not written to for so long.
	Older bool
}

// Next takes the next line behind the mark.
func (b *Beyond) Next(l Line) {
	if b.Older && b.From > 0 {
		return
	}
	var r struct {
		Time   time.Time `json:"time"`
		Action string    `json:"action"`
	}
	if err := json.Unmarshal(append(bytes.Clone(l.Body), '}'), &r); err != nil {
		return
	}
	if b.From == 0 {
		b.From, b.Since = l.Seq, r.Time
	}
	if b.began.IsZero() || r.Action == audit.ActionOpen {
		b.began = r.Time
	}
	b.Older = r.Action == audit.ActionClose || r.Time.Sub(b.began) > markedWithin
}

// OlderAdvice says what is so, and what to do.
const OlderAdvice = "the data are older than the audit log: they know of no line from %d on (%s), which a server " +
	"wrote and went on from. A copy or a backup was put back, or the data could not be written to. What was changed " +
	"since then, tokens that were revoked and secrets that were deleted among it, is undone: look through the log " +
	"from there on (influx audit list), and do again what is to stay"
