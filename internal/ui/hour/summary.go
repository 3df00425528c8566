package hour

import (
	"fmt"
	"strings"
	"time"

	"strongroom/internal/ui/words"
)

// Summary is the hour for the page.
type Summary struct {
	Calls, Failed int
	Median        string // "" where there was no call
	Charts        []Chart
}

// Summary says and draws what there is.
func (s *Hour) Summary() Summary {
	hour := s.kept()
	var sum Summary
	var all sample
	for _, one := range hour {
		sum.Calls += int(one.calls)
		sum.Failed += int(one.failed)
		all = all.plus(one)
	}
	if m, ok := all.quantile(0.5); ok {
		sum.Median = words.Duration(m)
	}
	sum.Charts = []Chart{latencyChart(hour), callsChart(hour)}
	if c := tokenChart(hour); !c.Empty {
		sum.Charts = append(sum.Charts, c)
	}
	for i := range sum.Charts {
		sum.Charts[i].Times = times(hour)
	}
	return sum
}

// plus is both spans together.
func (s sample) plus(other sample) sample {
	sum := sample{at: other.at, calls: s.calls + other.calls, failed: s.failed + other.failed, token: other.token,
		within: append([]bucket(nil), other.within...)}
	for i := range sum.within {
		if i < len(s.within) {
			sum.within[i].count += s.within[i].count
		}
	}
	return sum
}

func latencyChart(hour []sample) Chart {
	var median, slow []point
	for _, s := range hour {
		m, ok := s.quantile(0.5)
		median = append(median, point{m, ok, s.at})
		p, ok := s.quantile(0.95)
		slow = append(slow, point{p, ok, s.at})
	}
	at, ticks := logarithmic(func(s float64) string {
		return strings.Replace(words.Duration(s), ".0 ", " ", 1)
	}, median, slow)
	c := Chart{Name: "Time a call takes", Ticks: ticks, Empty: highest(slow) == 0,
		Curves: []Curve{newCurve("95th percentile", slow, at), newCurve("median", median, at)}}
	c.Rows = minutes(hour, func(s sample) []string {
		m, ok := s.quantile(0.5)
		if !ok {
			return []string{"–", "–"}
		}
		p, _ := s.quantile(0.95)
		return []string{words.Duration(p), words.Duration(m)}
	})
	if !c.Empty {
		c.Summary = fmt.Sprintf("Time a call of the store takes over the last hour. The 95th percentile of any ten "+
			"seconds is %s at most.", words.Duration(highest(slow)))
	}
	return c
}

func callsChart(hour []sample) Chart {
	var calls, failed []point
	for _, s := range hour {
		calls = append(calls, point{s.calls, true, s.at})
		failed = append(failed, point{s.failed, true, s.at})
	}
	top := roundUp(max(2, highest(calls)))
	c := Chart{Name: "Calls in ten seconds", Ticks: linearTicks(top, func(n float64) string {
		return words.Number(int(n))
	}), Empty: highest(calls) == 0,
		Curves: []Curve{newCurve("all", calls, linear(top)), newCurve("failed", failed, linear(top))}}
	c.Rows = minutes(hour, func(s sample) []string {
		return []string{words.Number(int(s.calls)), words.Number(int(s.failed))}
	})
	c.Summary = fmt.Sprintf("Calls of the store over the last hour, at most %.0f in ten seconds, of which at most "+
		"%.0f failed.", highest(calls), highest(failed))
	return c
}

// tokenEdges are the upper edges of the token's chart, for the round numbers of a clock are not those of ten fingers.
var tokenEdges = []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 32 * 24 * time.Hour}

// tokenChart shows how long Vault's token lasted: a saw, as it is renewed, until it is not any more.
func tokenChart(hour []sample) Chart {
	var left []point
	for _, s := range hour {
		left = append(left, point{s.token.value, s.token.ok, s.at})
	}
	most := highest(left)
	top := roundUp(most)
	for _, edge := range tokenEdges {
		if most <= edge.Seconds() {
			top = edge.Seconds()
			break
		}
	}
	c := Chart{Name: "What is left of Vault’s token", Ticks: linearTicks(top, words.Lasting), Empty: most == 0,
		Curves: []Curve{newCurve("until it ends", left, linear(top))}}
	c.Rows = minutes(hour, func(s sample) []string {
		if !s.token.ok {
			return []string{"–"}
		}
		return []string{words.Lasting(s.token.value)}
	})
	c.Summary = fmt.Sprintf("How long Vault’s token lasted over the last hour, at most %s.", words.Lasting(most))
	return c
}

// minutes are the samples in steps of five minutes, the newest first, for those who want the numbers.
func minutes(hour []sample, values func(sample) []string) []Row {
	const step = int(5 * time.Minute / sampleEvery)
	var rows []Row
	for end := len(hour); end > 0; end -= step {
		var sum sample
		for _, s := range hour[max(0, end-step):end] {
			sum = sum.plus(s)
		}
		rows = append(rows, Row{sum.at.UTC().Format("15:04 UTC"), values(sum)})
	}
	return rows
}
