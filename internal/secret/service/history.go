package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/secret"
)

// Info tells what is known of one secret.
func (s *Service) Info(ctx context.Context, c *access.Caller, org id.ID, key string) (secret.Info, error) {
	act := access.Act{Action: "secrets.info", Org: org, Keys: []string{key}}
	if err := s.guard.Allow(ctx, c, act, need(access.Read, org, key)); err != nil {
		return secret.Info{}, err
	}
	info, err := s.info(ctx, org, key)
	return info, s.guard.Done(ctx, c, act, err)
}

func (s *Service) info(ctx context.Context, org id.ID, key string) (secret.Info, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return secret.Info{}, err
	}
	info, err := s.store.Info(ctx, org, key)
	if err != nil {
		return info, err
	}
	one := []secret.Info{info}
	err = s.used(ctx, org, true, one)
	return one[0], err
}

// Infos tells what is known of the organisation's secrets that the caller may read of, in the order of their names,
// without their versions. Where the store keeps no history, that is when they were last used, and Version is zero.
// For a page of what is due before a time, it is errs.NotImplemented where the store keeps no such dates. The page
// wants all that the caller may read of; what does not open is secret.Unread.
func (s *Service) Infos(ctx context.Context, c *access.Caller, org id.ID,
	page secret.Page) (infos []secret.Info, err error) {
	act := access.Act{Action: "secrets.list", Org: org}
	var needed []access.Permission
	if !c.MaySome(access.Read, org) {
		needed = append(needed, need(access.Read, org, ""))
	}
	if err := s.guard.Allow(ctx, c, act, needed...); err != nil {
		return nil, err
	}
	page.Want = each(c, access.Read, org)
	infos, err = s.infos(ctx, org, Scope(c, access.Read, org), page)
	return infos, s.guard.Done(ctx, c, act, err)
}

// CountDue counts, for each of the organisations, the secrets that the caller may read of and whose values should be
// replaced before a time. No name is told, and all of it is one act on record. An organisation that keeps no such
// dates, has ended, or of which the caller may read nothing, is left out. A secret whose record is damaged counts.
func (s *Service) CountDue(ctx context.Context, c *access.Caller, orgs []id.ID,
	before time.Time) (map[id.ID]int, error) {
	orgs = slices.DeleteFunc(slices.Clone(orgs), func(org id.ID) bool { return !c.MaySome(access.Read, org) })
	due := make(map[id.ID]int, len(orgs))
	if len(orgs) == 0 {
		return due, nil
	}
	act := access.Act{Action: "secrets.list",
		Detail: "how many are due, in " + strconv.Itoa(len(orgs)) + " organizations, without their names"}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return nil, err
	}
	for _, org := range orgs {
		page := secret.Page{Want: each(c, access.Read, org), Before: before}
		infos, err := s.infos(ctx, org, Scope(c, access.Read, org), page)
		if errs.Is(err, errs.NotImplemented) || errs.Is(err, errs.NotFound) {
			continue
		}
		unread, err := secret.Apart(err)
		if err != nil {
			return nil, s.guard.Done(ctx, c, act, err)
		}
		due[org] = len(infos) + unread.Len()
	}
	return due, nil
}

func (s *Service) infos(ctx context.Context, org id.ID, scope string, page secret.Page) ([]secret.Info, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return nil, err
	}
	infos, err := readKnown(ctx, s.infoSizes, org, scope, page, s.store.Infos)
	unread, err := secret.Apart(err)
	if page.Before.IsZero() && errs.Is(err, errs.NotImplemented) {
		var keys []string
		keys, err = s.store.Keys(ctx, org)
		keys, _ = page.Pick(page.Behind(keys))
		for _, key := range keys {
			infos = append(infos, secret.Info{Key: key})
		}
	}
	if err == nil {
		err = s.used(ctx, org, page.Limit > 0, infos)
	}
	return infos, unread.Or(err)
}

// used fills in when the secrets were last used. Of some, each is looked for: that is less work than one look at all.
func (s *Service) used(ctx context.Context, org id.ID, some bool, infos []secret.Info) (err error) {
	if s.uses == nil || len(infos) == 0 {
		return nil
	}
	last := func(key string) (time.Time, error) { return s.uses.Last(ctx, org, key) }
	if !some {
		all, err := s.uses.All(ctx, org)
		if err != nil {
			return err
		}
		last = func(key string) (time.Time, error) { return all(key), nil }
	}
	for i := 0; i < len(infos) && err == nil; i++ {
		infos[i].Used, err = last(infos[i].Key)
	}
	return err
}

// infoSize is about how many bytes of memory what is known of one secret takes at most, most of the time.
const infoSize = 1 << 10

// readKnown reads what is known of secrets, by Infos or Deleted of the store, into memory that the request holds.
func readKnown(ctx context.Context, sizes *inflight.Sizes, org id.ID, scope string, page secret.Page,
	read func(context.Context, id.ID, secret.Page) ([]secret.Info, error)) (infos []secret.Info, err error) {
	asked, most := page, page.Most()
	if page.Limit == 0 && page.After == "" {
		asked.Before = time.Time{} // so that it is a measure
	}
	if most == 0 || most > 1<<20 { // whoever asks may name any number
		most = 1 << 20
	}
	var unread *secret.Unread
	err = sizes.ReadingPart(ctx, scope, int64(most)*infoSize, func() (int64, bool, error) {
		infos, err = read(ctx, org, asked)
		unread, err = secret.Apart(err)
		return secret.SizeOf(infos), asked.After == "" && asked.Before.IsZero() && !asked.Full(len(infos)), err
	})
	size := secret.SizeOf(infos)
	infos = page.Due(infos)
	sizes.Spare(ctx, size-secret.SizeOf(infos))
	return infos, unread.Or(err)
}

// Deleted lists the deleted secrets that the caller may read of and that can be brought back: the page wants all that
// the caller may read of.
func (s *Service) Deleted(ctx context.Context, c *access.Caller, org id.ID, page secret.Page) ([]secret.Info, error) {
	act := access.Act{Action: "secrets.deleted", Org: org}
	var err error
	if all := need(access.Read, org, ""); !c.May(all) && c.MaySome(access.Read, org) {
		err = s.guard.Allow(ctx, c, act)
	} else {
		err = s.guard.Allow(ctx, c, act, all)
	}
	if err != nil {
		return nil, err
	}
	page.Want = each(c, access.Read, org)
	var infos []secret.Info
	if err = s.orgs.OrgExists(ctx, org); err == nil {
		infos, err = readKnown(ctx, s.deletedSizes, org, Scope(c, access.Read, org), page, s.store.Deleted)
	}
	if err == nil {
		err = s.used(ctx, org, true, infos)
	}
	return infos, s.guard.Done(ctx, c, act, err)
}

// Describe replaces the description of a secret. What is not there cannot be described, which is told to those who may
// read or use it: to write alone does not tell what there is.
func (s *Service) Describe(ctx context.Context, c *access.Caller, org id.ID, key string, d secret.Description) error {
	act := access.Act{Action: "secrets.describe", Org: org, Keys: []string{key},
		Detail: fmt.Sprintf("description=%q", errs.Clip(d.Text))}
	if !d.Expires.IsZero() {
		act.Detail += " expires=" + d.Expires.UTC().Format(time.RFC3339)
	}
	return s.write(ctx, c, act, func() error {
		if len(d.Text) > secret.MaxDescription || !utf8.ValidString(d.Text) ||
			strings.ContainsFunc(d.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
			return errs.New(errs.Invalid, "a description is at most %d bytes of text without control characters",
				secret.MaxDescription)
		}
		return s.store.Describe(ctx, org, key, d)
	})
}

// Restore sets the value of an earlier version anew, or brings back a deleted secret. Where there is none, it tells as
// Describe does.
func (s *Service) Restore(ctx context.Context, c *access.Caller, org id.ID, key string, version int) error {
	act := access.Act{Action: "secrets.restore", Org: org, Keys: []string{key}}
	if version > 0 {
		act.Detail = fmt.Sprintf("version=%d", version)
	}
	return s.write(ctx, c, act, func() error {
		_, err := s.store.Restore(ctx, org, key, version, c.User)
		return err
	})
}

// write does what needs the permission to write the act's one key.
func (s *Service) write(ctx context.Context, c *access.Caller, act access.Act, do func() error) error {
	if err := s.guard.Allow(ctx, c, act, need(access.Write, act.Org, act.Keys[0])); err != nil {
		return err
	}
	err := s.orgs.OrgExists(ctx, act.Org)
	if err == nil {
		err = s.written(ctx, act.Org, do())
		if errs.Is(err, errs.NotFound) && !c.May(need(access.Read, act.Org, act.Keys[0])) &&
			!c.May(need(access.Use, act.Org, act.Keys[0])) && s.orgs.OrgExists(ctx, act.Org) == nil {
			_ = s.guard.Done(ctx, c, act, err)
			return nil
		}
	}
	return s.guard.Done(ctx, c, act, err)
}
