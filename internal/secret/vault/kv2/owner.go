package kv2

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// Where a path does not hold the organisation's ID, what lies there says whose it is. A name may have been another's
// before, also in another installation that shares the Vault. In the layout "org" that is custom metadata of the entry,
// which others who read and write it never see or change; in the layout "secret" it stands in the control entry. Vault
// has no check-and-set for metadata, and a policy may forbid them: this finds out what is another's, and does not keep
// two apart who come at the same moment. For the organisations of one installation its own records do.

// ownerKey is where an entry's custom metadata have it.
const ownerKey = "strongroom_org"

// theirs is what belongs to another organisation.
type theirs struct{ owner string }

func (t theirs) Error() string { return "it says so itself" }

// Theirs reports whether something was refused since it is another organisation's.
func Theirs(err error) bool { return errors.As(err, new(theirs)) }

// Mine refuses what says that it is another organisation's; "" is nobody's.
func (l Location) Mine(owner string) error {
	if l.Owner == 0 || owner == "" || owner == l.Owner.String() {
		return nil
	}
	return errs.Wrap(theirs{owner}, errs.Unprocessable, "in the secret store, what is at the organization's place "+
		"belongs to organization %s; give the one or the other another place, or, where that one is gone, let whoever "+
		"runs the server hand it over (docs/vault.md, \"Whose an entry is\")", errs.Clip(owner))
}

// Claim has an entry, whose custom metadata those are, say that it is the organisation's. Where Vault does not allow
// that, nothing is said.
func (l Location) Claim(ctx context.Context, custom map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, custom)
	all[ownerKey] = l.Owner.String()
	r := l.Request(http.MethodPut, "metadata", "update")
	r.Optional = true
	err := l.Conn.Do(conn.Once(ctx), r, func(ctx context.Context) error {
		_, err := l.Client.Logical().WriteWithContext(ctx, r.Path, map[string]any{"custom_metadata": all})
		return err
	})
	if conn.Is(err, conn.Denied) || conn.Is(err, conn.Strange) || conn.Is(err, conn.Unmounted) {
		return nil
	}
	return err
}

// OwnerTold reports whether what lies at the place says whose it is: the path does not, and nobody else writes there.
func (p Place) OwnerTold() bool { return !p.ReadOnly && !strings.Contains(p.Path, "{org}") }

// ownerOf is the organisation that what lies at a place names; 0 where it names none.
func (p Place) ownerOf(org id.ID) id.ID {
	if !p.OwnerTold() {
		return 0
	}
	return org
}
