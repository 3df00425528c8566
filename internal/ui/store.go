package ui

import (
	"fmt"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/sealing"
	"strongroom/internal/secret"
)

type storeView struct {
	Name, What string
	Healthy    bool
	Reason     string
	Checked    time.Time
	Calls      int
	Failed     int
	Median     string
	Details    []detail // what the store tells of itself
	Charts     []chart
	Since      time.Time       // what is drawn begins then
	Seal       *sealing.Status // nil where it is not shown
	SealName   string
	Rotating   bool
}

// storeNames say which store is which.
var storeNames = map[string][2]string{
	"bolt":  {"Embedded store", "Values are sealed with AES-256-GCM in the server's own file."},
	"vault": {"Vault", "Values are in Vault's KV version 2 engine; this server keeps none of them."},
}

// detail is a secret.Detail in words.
type detail struct {
	secret.Detail
	Called string
}

// detailNames say what a detail is about.
var detailNames = map[string]string{"vault-token": "Vault’s token"}

// sealNames say how the root key is kept.
var sealNames = map[string]string{
	"key-file": "a key file", "passphrase": "a passphrase", "transit": "Vault's transit engine",
}

func (u *UI) storePage(v *visit) (answer, error) {
	p := storeView{Name: u.StoreName, Healthy: true}
	if n, ok := storeNames[u.StoreName]; ok {
		p.Name, p.What = n[0], n[1]
	}
	var err error
	if p.Checked, err = u.samples.state(v.Context()); err != nil {
		p.Healthy, p.Reason = false, errs.Message(err)
	}
	for _, d := range secret.Details(u.Store) {
		called, ok := detailNames[d.Name]
		if !ok {
			called = d.Name
		}
		p.Details = append(p.Details, detail{d, called})
	}
	hour := u.samples.hour()
	if len(hour) > 0 {
		p.Since = hour[0].at
	}
	var all sample
	for _, s := range hour {
		p.Calls += int(s.calls)
		p.Failed += int(s.failed)
		all = all.plus(s)
	}
	if m, ok := all.quantile(0.5); ok {
		p.Median = duration(m)
	}
	if u.Seals != nil && v.operator() {
		s, err := u.Seals.Status(v.Context(), v.caller)
		if err != nil {
			return answer{}, err
		}
		p.Seal, p.SealName, p.Rotating = &s, s.Seal.Type, s.Rotation.State != sealing.Idle
		if n, ok := sealNames[s.Seal.Type]; ok {
			p.SealName = n
		}
	}
	p.Charts = []chart{latencyChart(hour), callsChart(hour)}
	if c := tokenChart(hour); !c.Empty {
		p.Charts = append(p.Charts, c)
	}
	return answer{page: "store.html", title: "Store", data: p}, nil
}

// rotate begins a new term of the data keys. It takes nothing away: what older terms sealed can be opened until all is
// sealed anew, so nobody is asked twice.
func (u *UI) rotate(v *visit) (answer, error) {
	if u.Seals == nil {
		return answer{}, errs.New(errs.NotFound, "there is no such page")
	}
	s, err := u.Seals.Rotate(v.Context(), v.caller)
	if err != nil {
		return again(err)(u.storePage(v))
	}
	return answer{goTo: "/store", note: fmt.Sprintf("Term %d has begun. What older terms sealed is sealed anew in the background.", s.Term)}, nil
}

// plus is both spans together.
func (s sample) plus(other sample) sample {
	sum := sample{at: other.at, calls: s.calls + other.calls, failed: s.failed + other.failed, token: other.token, within: append([]bucket(nil), other.within...)}
	for i := range sum.within {
		if i < len(s.within) {
			sum.within[i].count += s.within[i].count
		}
	}
	return sum
}

func latencyChart(hour []sample) chart {
	var median, slow []point
	for _, s := range hour {
		m, ok := s.quantile(0.5)
		median = append(median, point{m, ok})
		p, ok := s.quantile(0.95)
		slow = append(slow, point{p, ok})
	}
	at, ticks := logarithmic(func(s float64) string { return strings.Replace(duration(s), ".0 ", " ", 1) }, median, slow)
	c := chart{Name: "Time a call takes", Ticks: ticks, Empty: highest(slow) == 0,
		Curves: []curve{newCurve("95 of 100 calls are done by", slow, at), newCurve("half of the calls are done by", median, at)}}
	c.Rows = minutes(hour, func(s sample) []string {
		m, ok := s.quantile(0.5)
		if !ok {
			return []string{"–", "–"}
		}
		p, _ := s.quantile(0.95)
		return []string{duration(p), duration(m)}
	})
	if !c.Empty {
		c.Summary = fmt.Sprintf("Time a call of the store takes over the last hour. The slowest twentieth took %s at most in any ten seconds.", duration(highest(slow)))
	}
	return c
}

func callsChart(hour []sample) chart {
	var calls, failed []point
	for _, s := range hour {
		calls = append(calls, point{s.calls, true})
		failed = append(failed, point{s.failed, true})
	}
	top := roundUp(max(2, highest(calls)))
	c := chart{Name: "Calls in ten seconds", Ticks: linearTicks(top, func(n float64) string { return number(int(n)) }), Empty: highest(calls) == 0,
		Curves: []curve{newCurve("all", calls, linear(top)), newCurve("failed", failed, linear(top))}}
	c.Rows = minutes(hour, func(s sample) []string { return []string{number(int(s.calls)), number(int(s.failed))} })
	c.Summary = fmt.Sprintf("Calls of the store over the last hour, at most %.0f in ten seconds, of which at most %.0f failed.", highest(calls), highest(failed))
	return c
}

// tokenEdges are the upper edges of the token's chart, for the round numbers of a clock are not those of ten fingers.
var tokenEdges = []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour,
	12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 32 * 24 * time.Hour}

// tokenChart shows how long Vault's token lasted: a saw, as it is renewed, until it is not any more.
func tokenChart(hour []sample) chart {
	var left []point
	for _, s := range hour {
		left = append(left, s.token)
	}
	most := highest(left)
	top := roundUp(most)
	for _, edge := range tokenEdges {
		if most <= edge.Seconds() {
			top = edge.Seconds()
			break
		}
	}
	c := chart{Name: "What is left of Vault’s token", Ticks: linearTicks(top, lasting), Empty: most == 0, Curves: []curve{newCurve("until it ends", left, linear(top))}}
	c.Rows = minutes(hour, func(s sample) []string {
		if !s.token.ok {
			return []string{"–"}
		}
		return []string{lasting(s.token.value)}
	})
	c.Summary = fmt.Sprintf("How long Vault’s token lasted over the last hour, at most %s.", lasting(most))
	return c
}

// minutes are the samples in steps of five minutes, the newest first, for those who want the numbers.
func minutes(hour []sample, values func(sample) []string) []chartRow {
	const step = int(5 * time.Minute / sampleEvery)
	var rows []chartRow
	for end := len(hour); end > 0; end -= step {
		var sum sample
		for _, s := range hour[max(0, end-step):end] {
			sum = sum.plus(s)
		}
		rows = append(rows, chartRow{sum.at.UTC().Format("15:04 UTC"), values(sum)})
	}
	return rows
}
