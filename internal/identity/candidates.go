package identity

import (
	"context"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Readable gives what the caller's permissions to read things of a type name: single things, and organisations.
func Readable(c *access.Caller, of access.ResourceType) (things, orgs []id.ID) {
	for _, p := range c.Permissions {
		switch r := p.Resource; {
		case p.Action != access.Read || r.Type != of && r.Type != access.Instance:
		case r.ID.Valid():
			things = append(things, r.ID)
		case r.OrgID.Valid():
			orgs = append(orgs, r.OrgID)
		}
	}
	return things, orgs
}

// Collect gives the things, and those to which the records of indexes in the folders lead, each once and in order.
func Collect(ctx context.Context, s kv.Store, things []id.ID, folders []string,
	leads func(kv.Record) (id.ID, error)) ([]id.ID, error) {
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		err := record.ScanFound(ctx, s, folder, func(r kv.Record) (bool, error) {
			thing, err := leads(r)
			things = append(things, thing)
			return err == nil, err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(things)
	return slices.Compact(things), nil
}
