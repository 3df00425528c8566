package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

func at(key string) service.Place { return service.Place{Org: org, Key: key} }

func TestCopyRefuses(t *testing.T) {
	f := open(t, secret.Limits{})
	all := caller(may(access.Read, ""), may(access.Write, ""))
	f.set(t, all, "a", "1")
	f.set(t, all, "taken", "2")
	for name, tt := range map[string]struct {
		from, to service.Place
		move     bool
		may      []access.Permission
		code     errs.Code
	}{
		"nothing":            {at("a"), at("b"), false, nil, errs.Unauthorized},
		"only reads":         {at("a"), at("b"), false, []access.Permission{may(access.Read, "")}, errs.Unauthorized},
		"writes unread":      {at("a"), at("b"), false, []access.Permission{may(access.Write, "")}, errs.Unauthorized},
		"may not set it":     {at("a"), at("b"), false, []access.Permission{may(access.Read, ""), may(access.Write, "a")}, errs.Unauthorized},
		"uses, may not move": {at("a"), at("b"), true, []access.Permission{may(access.Use, ""), may(access.Read, "b"), may(access.Write, "b")}, errs.Unauthorized},
		"there is none":      {at("none"), at("b"), false, all.Permissions, errs.NotFound},
		"taken":              {at("a"), at("taken"), true, all.Permissions, errs.PreconditionFailed},
		"onto itself":        {at("a"), at("a"), true, all.Permissions, errs.PreconditionFailed},
		"no name":            {at("a"), at(""), true, all.Permissions, errs.Invalid},
		"another organisation": {at("a"), service.Place{Org: org + 1, Key: "a"}, false,
			append(access.Operator(), may(access.Use, "")), errs.NotFound},
	} {
		if _, err := f.Copy(t.Context(), caller(tt.may...), tt.from, tt.to, tt.move); !errs.Is(err, tt.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys, err := f.Keys(t.Context(), all, org)
	if err != nil || len(keys) != 2 {
		t.Errorf("after all that there are %q, %v", keys, err)
	}
}

// set sets one secret.
func (f *fixture) set(t *testing.T, c *access.Caller, key, value string) {
	t.Helper()
	change := secret.Change{Set: map[string]secret.Value{key: secret.NewValue([]byte(value))}}
	if _, err := f.Apply(t.Context(), c, org, change); err != nil {
		t.Fatal(err)
	}
}

func TestCopyAndMove(t *testing.T) {
	f := open(t, secret.Limits{})
	c := caller(may(access.Read, ""), may(access.Write, ""))
	for _, v := range []string{"1", "2", "3"} {
		f.set(t, c, "a", v)
	}
	d := secret.Description{Text: "rings", Expires: time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC)}
	if err := f.Describe(t.Context(), c, org, "a", d); err != nil {
		t.Fatal(err)
	}
	for _, move := range []bool{false, true} {
		to := map[bool]string{false: "copy", true: "moved"}[move]
		if n, err := f.Copy(t.Context(), c, at("a"), at(to), move); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		info, err := f.Info(t.Context(), c, org, to)
		if err != nil || info.Version != 3 || len(info.Versions) != 3 || info.Description != d || info.By != "ann" {
			t.Errorf("%+v, %v", info, err)
		}
		for i, want := range []string{"1", "2", "3"} {
			got, err := f.store.ReadVersion(t.Context(), org, to, i+1)
			if err != nil || string(got.Value.Bytes()) != want {
				t.Errorf("version %d of %s: %v", i+1, to, err)
			}
		}
		if info, err = f.Info(t.Context(), c, org, "a"); err != nil || info.Deleted.IsZero() == move {
			t.Errorf("after the move %v: %+v, %v", move, info, err)
		}
	}
	var seen []string
	for _, e := range f.trail.entries {
		if e.Action == "secrets.copy" || e.Detail == access.PartOfCopy || e.Detail == access.PartOfMove {
			seen = append(seen, fmt.Sprint(e.Action, e.Keys, strings.Replace(e.Target, org.String(), "", 1), e.Detail))
		}
	}
	want := []string{"secrets.copy[a]/copy", "secrets.apply[copy]/apart of a copy", "secrets.copy[a]/moved",
		"secrets.apply[moved]/apart of a move", "secrets.delete[a]/movedpart of a move"}
	if !slices.Equal(seen, want) {
		t.Errorf("on record: %q, want %q", seen, want)
	}
}
