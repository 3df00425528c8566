// Package format is how a data file is laid out: its two buckets, the marker of their format, and what stands before a
// value. Those who write the file and those who only read it both go by it.
package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The buckets of the file and the keys in the meta bucket.
var (
	DataBucket  = []byte("strongroom-data")
	MetaBucket  = []byte("strongroom-meta")
	FormatKey   = []byte("format")   // "strongroom <format version>"
	RevisionKey = []byte("revision") // 8 bytes, big-endian
)

// RevLen is the length of the revision in front of each value.
const RevLen = 8

// name and version make the marker of our files, "strongroom 1". A version is raised when an older program
// could misread what a newer one writes.
const (
	name    = "strongroom"
	version = 1
)

// Marker is what stands under FormatKey in a file that is made now.
func Marker() []byte { return fmt.Appendf(nil, "%s %d", name, version) }

// InfluxBuckets are top-level buckets of a real InfluxDB 2's file; a file with one of them is InfluxDB's.
var InfluxBuckets = []string{"organizationsv1", "usersv1", "authorizationsv1", "secretsv1", "bucketsv1", "onboardingv1",
	"migrationsv1"}

// Check tells whether a file with these top-level buckets is one that we can read.
func Check(names []string, marker []byte, hasData bool) error {
	if !slices.Contains(names, string(MetaBucket)) {
		for _, b := range InfluxBuckets {
			if slices.Contains(names, b) {
				return errors.New("it is the database of a real InfluxDB, not Strongroom's, and was left untouched; " +
					"name another file with --bolt-path (or INFLUXD_BOLT_PATH)")
			}
		}
		return errors.New("it is a bbolt database of another program, not Strongroom's, and was left untouched; " +
			"name another file with --bolt-path (or INFLUXD_BOLT_PATH)")
	}
	ours, number, _ := strings.Cut(string(marker), " ")
	of, err := strconv.Atoi(number)
	switch {
	case ours != name || err != nil || of < 1 || !hasData:
		return errors.New("the file is damaged: its format marker is not readable; restore it from a backup")
	case of > version:
		return fmt.Errorf("it was written by a newer influxd (format %d; this one reads up to %d): start that one, "+
			"or restore a backup",
			of, version)
	}
	return nil
}

// Decode reads a stored record; the value is a copy.
func Decode(raw []byte) (int64, []byte, error) {
	if len(raw) < RevLen {
		return 0, nil, errors.New("the file is damaged: a record without a revision")
	}
	return int64(binary.BigEndian.Uint64(raw)), slices.Clone(raw[RevLen:]), nil
}
