package sealed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
)

// Prefixes are what the keys of this package's records begin with.
var Prefixes = []string{dataRoot, stagedRoot, "trash/", rewriteRecord}

// Verify opens every record of this package, and looks whether each value has its name and each name its value. Report
// is told of each thing that is wrong, by the record's key, and never given a value. It gives the organisations that have
// records. Nothing is written.
func (s *Store) Verify(ctx context.Context, report func(key, what string)) ([]id.ID, error) {
	v := &verifier{s: s, ctx: ctx, report: report}
	for after := ""; ; {
		recs, err := s.kv.List(ctx, dataRoot, after, namesPage/10)
		if err != nil {
			return nil, translate(err)
		}
		for _, rec := range recs {
			if err := v.record(rec); err != nil {
				return nil, translate(err)
			}
			after = rec.Key
		}
		if len(recs) == 0 {
			break
		}
	}
	return v.orgs, translate(v.staged())
}

type verifier struct {
	s      *Store
	ctx    context.Context
	report func(key, what string)
	orgs   []id.ID
}

func (v *verifier) wrong(key, format string, args ...any) {
	v.report(key, fmt.Sprintf(format, args...))
}

// has reports whether there is a record.
func (v *verifier) has(key string) (bool, error) {
	_, err := v.s.kv.Get(v.ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// record looks at one record of an organisation.
func (v *verifier) record(rec kv.Record) error {
	org, rest, err := splitKey(rec.Key)
	if err != nil {
		v.wrong(rec.Key, "its key names no organisation")
		return nil
	}
	if n := len(v.orgs); n == 0 || v.orgs[n-1] != org {
		v.orgs = append(v.orgs, org)
		if there, err := v.has(headKey(org)); err != nil || !there {
			v.wrong(headKey(org), "it is missing")
			return err
		}
	}
	if rest == "names" {
		if len(rec.Value) != 1 || rec.Value[0] > headPending[0] {
			v.wrong(rec.Key, "it is malformed")
		}
		return nil
	}
	if name, ok := strings.CutPrefix(rest, "names/"); ok {
		if there, err := v.has(secretKey(org, name)); err != nil || !there {
			v.wrong(rec.Key, "its value is missing")
			return err
		}
		return nil
	}
	to, ok := sealedAs(rest)
	if !ok {
		v.wrong(rec.Key, "it is of a kind that this influxd does not know")
		return nil
	}
	plain := v.opens(rec, org, to)
	if name, ok := strings.CutPrefix(rest, "k/"); ok {
		if _, err := parseValue(plain); plain != nil && err != nil {
			v.wrong(rec.Key, "%v", err)
		}
		if there, err := v.has(nameKey(org, name)); err != nil || !there {
			v.wrong(rec.Key, "it is not in the list of names")
			return err
		}
	}
	clear(plain)
	return nil
}

// opens opens a record; nil where it does not open, which is told.
func (v *verifier) opens(rec kv.Record, org id.ID, to keyring.Belongs) []byte {
	plain, err := v.s.ring.Open(org, to, rec.Value)
	if err != nil {
		v.wrong(rec.Key, "%v", err)
		return nil
	}
	return plain
}

// staged looks at the large changes under way. One that was never committed is no fault: the next start removes it.
func (v *verifier) staged() error {
	journals := make(map[id.ID]journal)
	for after := ""; ; {
		recs, err := v.s.kv.List(v.ctx, stagedRoot, after, rewritePage)
		if err != nil {
			return err
		}
		for _, rec := range recs {
			after = rec.Key
			text, rest, _ := strings.Cut(strings.TrimPrefix(rec.Key, stagedRoot), "/")
			org, err := id.Parse(text)
			if err != nil {
				v.wrong(rec.Key, "its key names no organisation")
				continue
			}
			if rest != journalName {
				clear(v.opens(rec, org, keyring.Belongs{Kind: stepKind, Key: rest}))
				continue
			}
			plain := v.opens(rec, org, keyring.Belongs{Kind: journalKind})
			var j journal
			if plain != nil && json.Unmarshal(plain, &j) != nil {
				v.wrong(rec.Key, "it is malformed")
			}
			journals[org] = j
		}
		if len(recs) == 0 {
			break
		}
	}
	for org, j := range journals {
		for n := range j.Steps {
			if there, err := v.has(stepKey(org, j.Batch, n)); err != nil || !there {
				v.wrong(journalKey(org), "step %d of the change it commits is missing", n)
				return err
			}
		}
	}
	return nil
}
