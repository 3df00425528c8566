package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/access"
	"strongroom/internal/errs"
)

// MaxName bounds the names of users, organisations and buckets, in bytes.
const MaxName = 512

// ValidName checks a name from outside; what names the kind of thing.
func ValidName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errs.New(errs.EmptyValue, "%s name is empty", what)
	case len(name) > MaxName:
		return errs.New(errs.Invalid, "%s name is longer than %d bytes", what, MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errs.New(errs.Invalid, "%s name must be valid UTF-8 without control characters", what)
	}
	return nil
}

// maxDescription bounds descriptions, in bytes.
const maxDescription = 4096

// ValidDescription checks a description from outside.
func ValidDescription(d string) error {
	if len(d) > maxDescription {
		return errs.New(errs.Invalid, "the description is longer than %d bytes", maxDescription)
	}
	if !utf8.ValidString(d) {
		return errs.New(errs.Invalid, "the description must be valid UTF-8")
	}
	return nil
}

// MaxPermissionNames bounds those of one authorization together. Its record must fit into a transaction.
const MaxPermissionNames = 128 << 10

// ValidPermissions checks what an authorization from outside is to permit.
func ValidPermissions(ps []access.Permission) error {
	names := 0
	for _, p := range ps {
		if err := p.Valid(); err != nil {
			return err
		}
		names += len(p.Resource.Name)
	}
	if names > MaxPermissionNames {
		return errs.New(errs.Invalid, "the names in an authorization's permissions are %d bytes together, at most %d are allowed", names, MaxPermissionNames)
	}
	return nil
}
