package ui

import (
	"cmp"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/secret"
	"strongroom/internal/ui/accounts"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// mostEarlier is how many secrets with earlier versions the page of an organisation names.
const mostEarlier = 5

// usageOf tells how much an organisation has of what the quota lets it have, and what takes the room.
func usageOf(c Config) func(*visit.Visit) (accounts.Room, error) {
	return func(v *visit.Visit) (r accounts.Room, err error) {
		all := access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: v.Org})
		if c.Quota == (secret.Quota{}) || !v.Caller.May(all) {
			return r, nil
		}
		u, err := c.Secrets.Usage(v.Context(), v.Caller, v.Org)
		if err != nil {
			return r, err
		}
		if c.Quota.Secrets > 0 {
			r.Lines = append(r.Lines,
				words.Number(int(u.Secrets))+" of "+words.Count(int(c.Quota.Secrets), "secret")+".")
		}
		switch {
		case c.Quota.Bytes > 0 && u.Bytes >= 0:
			r.Lines = append(r.Lines, words.Size(int(u.Bytes))+" of "+words.Size(int(c.Quota.Bytes))+
				", with earlier versions, deleted secrets until they are gone, and metadata.")
			err = lookForRoom(c, v, &r)
		case c.Quota.Bytes > 0:
			r.Lines = append(r.Lines, words.Size(int(c.Quota.Bytes))+
				" are allowed; how many there are is not counted here.")
		}
		return r, err
	}
}

// lookForRoom finds what could be deleted for good.
func lookForRoom(c Config, v *visit.Visit, r *accounts.Room) error {
	if r.Counts = c.Store.About(v.Org).History && !c.NoHistory; !r.Counts {
		return nil
	}
	r.MayWrite = v.Caller.MaySome(access.Write, v.Org) && !c.Store.About(v.Org).ReadOnly
	deleted, err := c.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
	if err != nil {
		return err
	}
	r.Deleted = len(deleted)
	infos, err := c.Secrets.Infos(v.Context(), v.Caller, v.Org, secret.Page{})
	if _, err = secret.Apart(err); err != nil { // what does not open is told of on its page
		return err
	}
	infos = slices.DeleteFunc(infos, func(i secret.Info) bool { return i.Earlier == 0 })
	slices.SortStableFunc(infos, func(a, b secret.Info) int { return cmp.Compare(b.Earlier, a.Earlier) })
	for _, i := range infos[:min(len(infos), mostEarlier)] {
		r.Earlier = append(r.Earlier, i.Key)
	}
	return nil
}
