package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// value is a setting's variable with its type. set's errors end a sentence that begins with the setting's name; they
// quote nothing, since what was given may be a secret in the wrong place.
type value interface {
	set(string) error
	String() string
	kind() kind
}

// kind is what a configuration file may write for a value without quotes, and what the help calls it.
type kind string

const (
	kindText     kind = "TEXT"
	kindPath     kind = "PATH"
	kindAddress  kind = "HOST:PORT"
	kindSwitch   kind = ""
	kindNumber   kind = "N"
	kindSize     kind = "SIZE"
	kindShare    kind = "SHARE"
	kindDuration kind = "DURATION"
	kindList     kind = "TEXT,TEXT"
)

type textValue struct {
	p *string
	k kind
}

func text(p *string) value         { return textValue{p, kindText} }
func path(p *string) value         { return textValue{p, kindPath} }
func (v textValue) kind() kind     { return v.k }
func (v textValue) String() string { return *v.p }

func (v textValue) set(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if s == "-" && v.k == kindPath {
		return errors.New("must be a file, and - is none; ./- is a file called so")
	}
	if strings.ContainsAny(s, "\x00\n") {
		return errors.New("holds a line break or a NUL character")
	}
	*v.p = s
	return nil
}

type listValue struct{ p *[]string }

func list(p *[]string) value       { return listValue{p} }
func (v listValue) kind() kind     { return kindList }
func (v listValue) String() string { return strings.Join(*v.p, ",") }

func (v listValue) set(s string) error {
	var all []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if err := text(&item).set(item); err != nil {
			return fmt.Errorf("has an item that %w", err)
		}
		all = append(all, item)
	}
	*v.p = all
	return nil
}

type addressValue struct{ p *string }

func address(p *string) value         { return addressValue{p} }
func (v addressValue) kind() kind     { return kindAddress }
func (v addressValue) String() string { return *v.p }

func (v addressValue) set(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("is not host:port, such as 127.0.0.1:9999, [::1]:9999 or :8086")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("has a port that is not a number from 0 to 65535")
	}
	*v.p = s
	return nil
}

type oneOfValue[T ~string] struct {
	p       *T
	choices []string
}

func oneOf[T ~string](p *T, choices ...string) value { return oneOfValue[T]{p, choices} }
func (v oneOfValue[T]) kind() kind                   { return kind(strings.Join(v.choices, "|")) }
func (v oneOfValue[T]) String() string               { return string(*v.p) }

func (v oneOfValue[T]) set(s string) error {
	for _, c := range v.choices {
		if strings.EqualFold(s, c) {
			*v.p = T(c)
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(v.choices, ", "))
}

func parseYesNo(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, errors.New("must be true or false")
	}
	return b, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("is not a duration with its unit, such as 30s or 2m")
	}
	if d < 0 {
		return 0, errors.New("must not be negative")
	}
	return d, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n > math.MaxInt32 {
		return 0, errors.New("is not a whole number")
	}
	// InfluxDB's "0 or less" for no retries is taken as it was meant.
	return max(n, 0), nil
}

func parsePositive(s string) (int, error) {
	n, err := parseCount(s)
	if err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, errors.New("must be at least 1")
	}
	return n, nil
}

// units are the sizes' units, the largest first.
var units = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

const badSize = "is not a size in bytes, such as 65536, 512KiB or 4MiB"

// parseShare reads a part of a whole.
func parseShare(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, errors.New("must be a number from 0 to 1, such as 0.1")
	}
	return f, nil
}

func formatShare(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func parseSize(s string) (int64, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, errors.New(badSize)
	}
	if n < 1 {
		return 0, errors.New("must be at least one byte")
	}
	if n > math.MaxInt32/factor {
		return 0, errors.New("must be below 2GiB")
	}
	return n * factor, nil
}

// parseRoom is parseSize for what may be larger than memory, and 0 for no bound.
func parseRoom(s string) (int64, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return 0, errors.New(badSize)
	case n < 0:
		return 0, errors.New("must not be negative; 0 is without a bound")
	case n > 1<<50/factor:
		return 0, errors.New("must be at most 1PiB; 0 is without a bound")
	}
	return n * factor, nil
}

func formatSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parsed is a value that is always there; optional one that may be left unsaid.
type (
	parsed[T any] struct {
		p      *T
		k      kind
		parse  func(string) (T, error)
		format func(T) string
	}
	optional[T any] struct {
		p      **T
		k      kind
		parse  func(string) (T, error)
		format func(T) string
	}
)

func yesNo(p *bool) value     { return parsed[bool]{p, kindSwitch, parseYesNo, strconv.FormatBool} }
func optYesNo(p **bool) value { return optional[bool]{p, kindSwitch, parseYesNo, strconv.FormatBool} }
func positive(p *int) value   { return parsed[int]{p, kindNumber, parsePositive, strconv.Itoa} }
func count(p *int) value      { return parsed[int]{p, kindNumber, parseCount, strconv.Itoa} }
func optCount(p **int) value  { return optional[int]{p, kindNumber, parseCount, strconv.Itoa} }
func size(p *int64) value     { return parsed[int64]{p, kindSize, parseSize, formatSize} }
func share(p *float64) value  { return parsed[float64]{p, kindShare, parseShare, formatShare} }
func room(p *int64) value     { return parsed[int64]{p, kindSize, parseRoom, formatSize} }
func duration(p *time.Duration) value {
	return parsed[time.Duration]{p, kindDuration, parseDuration, formatDuration}
}
func optDuration(p **time.Duration) value {
	return optional[time.Duration]{p, kindDuration, parseDuration, formatDuration}
}

func (v parsed[T]) kind() kind     { return v.k }
func (v parsed[T]) String() string { return v.format(*v.p) }
func (v parsed[T]) set(s string) error {
	got, err := v.parse(s)
	if err == nil {
		*v.p = got
	}
	return err
}

func (v optional[T]) kind() kind { return v.k }
func (v optional[T]) String() string {
	if *v.p == nil {
		return ""
	}
	return v.format(**v.p)
}

func (v optional[T]) set(s string) error {
	got, err := v.parse(s)
	if err == nil {
		*v.p = &got
	}
	return err
}
