// Package value has the kinds of values that a setting can have: how each is written, read and shown.
package value

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Value is a setting's variable with its type. Set's errors end a sentence that begins with the setting's name; they
// quote nothing, since what was given may be a secret in the wrong place.
type Value interface {
	Set(string) error
	String() string
	Kind() Kind
}

// Kind is what a configuration file may write for a value without quotes, and what the help calls it.
type Kind string

// The kinds, as the help writes them. A value that is one of several words is of a kind of its own.
const (
	KindText     Kind = "TEXT"
	KindPath     Kind = "PATH"
	KindAddress  Kind = "HOST:PORT"
	KindSwitch   Kind = ""
	KindNumber   Kind = "N"
	KindSize     Kind = "SIZE"
	KindShare    Kind = "SHARE"
	KindDuration Kind = "DURATION"
	KindList     Kind = "TEXT,TEXT"
)

type textValue struct {
	p *string
	k Kind
}

// Text is a text in one line.
func Text(p *string) Value { return textValue{p, KindText} }

// Path is that of a file.
func Path(p *string) Value { return textValue{p, KindPath} }

func (v textValue) Kind() Kind     { return v.k }
func (v textValue) String() string { return *v.p }

func (v textValue) Set(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if s == "-" && v.k == KindPath {
		return errors.New("must be a file, and - is none; ./- is a file called so")
	}
	if strings.ContainsAny(s, "\x00\n") {
		return errors.New("holds a line break or a NUL character")
	}
	*v.p = s
	return nil
}

// Check reports whether a text, or a path, can be taken.
func Check(k Kind, s string) error { return textValue{new(string), k}.Set(s) }

type listValue struct{ p *[]string }

// List is of texts, with commas between them.
func List(p *[]string) Value { return listValue{p} }

func (v listValue) Kind() Kind     { return KindList }
func (v listValue) String() string { return strings.Join(*v.p, ",") }

func (v listValue) Set(s string) error {
	var all []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if err := Text(&item).Set(item); err != nil {
			return fmt.Errorf("has an item that %w", err)
		}
		all = append(all, item)
	}
	*v.p = all
	return nil
}

type addressValue struct{ p *string }

// Address is a host and a port.
func Address(p *string) Value { return addressValue{p} }

func (v addressValue) Kind() Kind     { return KindAddress }
func (v addressValue) String() string { return *v.p }

func (v addressValue) Set(s string) error {
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

// OneOf is one of the words, in capitals or not.
func OneOf[T ~string](p *T, choices ...string) Value { return oneOfValue[T]{p, choices} }

func (v oneOfValue[T]) Kind() Kind     { return Kind(strings.Join(v.choices, "|")) }
func (v oneOfValue[T]) String() string { return string(*v.p) }

func (v oneOfValue[T]) Set(s string) error {
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

func parseShare(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, errors.New("must be a number from 0 to 1, such as 0.1")
	}
	return f, nil
}

func formatShare(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func parseSize(s string) (int64, error) {
	n, unit, err := inUnits(s)
	switch {
	case err != nil:
		return 0, err
	case n < 1:
		return 0, errors.New("must be at least one byte")
	case n > math.MaxInt32/unit:
		return 0, errors.New("must be below 2GiB")
	}
	return n * unit, nil
}

func parseRoom(s string) (int64, error) {
	n, unit, err := inUnits(s)
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, errors.New("must not be negative; 0 is without a bound")
	case n > 1<<50/unit:
		return 0, errors.New("must be at most 1PiB; 0 is without a bound")
	}
	return n * unit, nil
}

// inUnits reads a number and the bytes of the unit behind it.
func inUnits(s string) (n, unit int64, err error) {
	number, unit := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if n, err = strconv.ParseInt(number, 10, 64); err != nil {
		return 0, 0, errors.New("is not a size in bytes, such as 65536, 512KiB or 4MiB")
	}
	return n, unit, nil
}

// FormatSize writes a size in the largest unit of which it is a whole number.
func FormatSize(n int64) string {
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
		k      Kind
		parse  func(string) (T, error)
		format func(T) string
	}
	optional[T any] struct {
		p      **T
		k      Kind
		parse  func(string) (T, error)
		format func(T) string
	}
)

// YesNo is a switch.
func YesNo(p *bool) Value { return parsed[bool]{p, KindSwitch, parseYesNo, strconv.FormatBool} }

// OptYesNo is a switch that may be left unsaid.
func OptYesNo(p **bool) Value { return optional[bool]{p, KindSwitch, parseYesNo, strconv.FormatBool} }

// Positive is a whole number from 1.
func Positive(p *int) Value { return parsed[int]{p, KindNumber, parsePositive, strconv.Itoa} }

// Count is a whole number from 0.
func Count(p *int) Value { return parsed[int]{p, KindNumber, parseCount, strconv.Itoa} }

// OptCount is a Count that may be left unsaid.
func OptCount(p **int) Value { return optional[int]{p, KindNumber, parseCount, strconv.Itoa} }

// Size is one in memory: from a byte to below 2 GiB.
func Size(p *int64) Value { return parsed[int64]{p, KindSize, parseSize, FormatSize} }

// Room is a size that may be larger than memory; 0 is without a bound.
func Room(p *int64) Value { return parsed[int64]{p, KindSize, parseRoom, FormatSize} }

// Share is a part of a whole, from 0 to 1.
func Share(p *float64) Value { return parsed[float64]{p, KindShare, parseShare, formatShare} }

// Duration is a time with its unit.
func Duration(p *time.Duration) Value {
	return parsed[time.Duration]{p, KindDuration, parseDuration, formatDuration}
}

// OptDuration is a Duration that may be left unsaid.
func OptDuration(p **time.Duration) Value {
	return optional[time.Duration]{p, KindDuration, parseDuration, formatDuration}
}

func (v parsed[T]) Kind() Kind     { return v.k }
func (v parsed[T]) String() string { return v.format(*v.p) }
func (v parsed[T]) Set(s string) error {
	got, err := v.parse(s)
	if err == nil {
		*v.p = got
	}
	return err
}

func (v optional[T]) Kind() Kind { return v.k }
func (v optional[T]) String() string {
	if *v.p == nil {
		return ""
	}
	return v.format(**v.p)
}

func (v optional[T]) Set(s string) error {
	got, err := v.parse(s)
	if err == nil {
		*v.p = &got
	}
	return err
}

// Plain is the value as JSON has it: a switch and a number as such, the rest as text.
func Plain(v Value) any {
	switch v := v.(type) {
	case parsed[bool]:
		return *v.p
	case parsed[int]:
		return *v.p
	}
	return v.String()
}

// PrintableName is a name as it was given, unless it looks like no name: then it may be a secret in the wrong place.
func PrintableName(name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return "…"
		}
	}
	if len(name) > 48 {
		return "…"
	}
	return name
}
