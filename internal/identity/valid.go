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

// ServerName is who the server's own acts are put on record under. No user may have it.
const ServerName = "influxd"

// ValidNewUserName checks the name that a user is to get: beside what holds for every name, it must be one with
// which the user can sign in, and that nobody takes for another on a page or in the audit log. Users who have
// another are left alone.
func ValidNewUserName(name string) error {
	if err := ValidName("user", name); err != nil {
		return err
	}
	switch {
	case strings.Contains(name, ":"):
		return errs.New(errs.Invalid, "user name must not contain a colon: it ends the name in Basic authentication, "+
			"with which users sign in")
	case strings.TrimSpace(name) != name:
		return errs.New(errs.Invalid, "user name must not begin or end with a space")
	case strings.ContainsFunc(name, invisible):
		return errs.New(errs.Invalid, "user name must not contain characters that cannot be seen")
	case strings.EqualFold(name, ServerName) || strings.HasPrefix(strings.ToLower(name), ServerName+" "):
		return errs.New(errs.Invalid, "user name must not be %s: the server's own acts are on record under it",
			ServerName)
	}
	return nil
}

// invisible reports whether a character leaves no trace where it stands, or looks like a space
// and is another character.
func invisible(c rune) bool {
	switch c {
	case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0: // fillers, and a blank that is no space
		return true
	}
	return c != ' ' && unicode.IsSpace(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Zs,
		unicode.Variation_Selector) && c != ' '
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
		return errs.New(errs.Invalid, "the names in an authorization's permissions are %d bytes together, at most %d "+
			"are allowed", names, MaxPermissionNames)
	}
	return nil
}
