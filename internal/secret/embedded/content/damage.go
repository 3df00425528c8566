package content

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
)

// damaged is what is missing or does not open of a secret that is there. It names the secret to the caller, who is
// allowed to use it, and says what to do.
func damaged(err error, what, name string, org id.ID, do string) error {
	return errs.Wrap(fmt.Errorf("organisation %s: %w", org, err), errs.Internal,
		"the secret %q: its %s cannot be read, since it was damaged or altered: %s; influxd check tells what else is",
		errs.Clip(name), what, do)
}

// What to do about it.
const (
	setAnew    = "set the secret anew, or restore a backup"
	removeAnew = "restore a backup, or remove the secret for good and set it anew"
)

// DamagedValue is the error for a value that is missing or does not open.
func DamagedValue(err error, name string, org id.ID) error {
	return damaged(err, "value", name, org, setAnew)
}

// DamagedMeta is the error for metadata that do not open.
func DamagedMeta(err error, name string, org id.ID) error {
	return damaged(err, "history", name, org, removeAnew)
}

// ErrNoValue is a value that is missing of a secret that is there.
var ErrNoValue = errors.New("its record is missing")

// Damaged reports whether an error of the store is of a record that is damaged, altered or missing.
func Damaged(err error) bool {
	return slices.ContainsFunc([]error{keyring.ErrOpen, keyring.ErrTerm, ErrNoMeta, ErrNoValue, commitlog.ErrMalformed,
		commitlog.ErrLost},
		func(e error) bool { return errors.Is(err, e) })
}

// InfoIn tells what the record of a secret's metadata says.
func (r Reader) InfoIn(ctx context.Context, org id.ID, name string, record Found) (secret.Info, error) {
	known, err := r.OpenMeta(ctx, org, record, Found{})
	if err != nil {
		return secret.Info{}, DamagedMeta(err, name, org)
	}
	return known.Info(name), nil
}
