package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Check looks at every record of this package: whether it can be read, whether what it names is there, and whether
// every record has its index and every index its record. Report is told of each thing that is wrong, by the record's
// key; it is never given a token or a hash of a password. Data that are being changed meanwhile may read as wrong.
func Check(ctx context.Context, store kv.Store, report func(key, what string)) error {
	c := &checker{ctx: ctx, kv: store, report: report}
	q, err := newQuick(ctx, store)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		quick func() error // nil where there are few of them
		slow  func() error
	}{{q.userRecords, c.users}, {q.orgRecords, c.orgs}, {q.members, c.members}, {q.buckets, c.buckets},
		{q.authorizations, c.authorizations}, {nil, c.revoked}, {nil, c.appRoles}, {q.sessions, c.sessions},
		{nil, c.signIns}, {nil, c.loose}} {
		if step.quick != nil {
			sound, err := q.sound(step.quick)
			if err != nil {
				return err
			}
			if sound {
				continue
			}
		}
		if err := step.slow(); err != nil {
			return err
		}
	}
	return nil
}

type checker struct {
	ctx    context.Context
	kv     kv.Store
	report func(key, what string)
}

// isAt reports whether k is where the record of the key is: the engine may have an index of a token under another key
// (barrier.Store).
func (c *checker) isAt(k, key string) bool {
	if keyed, ok := c.kv.(interface{ KeyOf(string) (string, error) }); ok && k != key {
		at, err := keyed.KeyOf(key)
		return err == nil && at == k
	}
	return k == key
}

func (c *checker) wrong(key, format string, args ...any) { c.report(key, fmt.Sprintf(format, args...)) }

// recordsOf reads the records below a prefix, and reports those that are malformed.
func recordsOf[T any](c *checker, pre string, f func(k string, v T) error) error {
	return record.Scan(c.ctx, c.kv, pre, "", func(r kv.Record) (bool, error) {
		var v T
		if err := json.Unmarshal(r.Value, &v); err != nil {
			c.wrong(r.Key, "it is malformed")
			return true, nil
		}
		return true, f(r.Key, v)
	})
}

// points checks that the record at an index says want.
func points[T comparable](c *checker, from, index string, want T) error {
	got, _, ok, err := record.Find[T](c.ctx, c.kv, index)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return err
	case err != nil || ok && got != want:
		c.wrong(from, "its index %s says something else", index)
	case !ok:
		c.wrong(from, "its index %s is missing", index)
	}
	return nil
}

// there checks that a user or an organisation that is named exists, or is just being deleted.
func (c *checker) there(from, folder string, what id.ID) error {
	for _, k := range []string{record.Key(folder, what), record.Key("deleting/"+folder, what)} {
		if _, err := c.kv.Get(c.ctx, k); !errors.Is(err, kv.ErrNotFound) {
			return err
		}
	}
	c.wrong(from, "it names %s %s, which is not there", folder, what)
	return nil
}

func (c *checker) sameID(k string, got id.ID) bool {
	if record.Last(k) != got.String() {
		c.wrong(k, "it says it is %s", got)
		return false
	}
	return true
}

func (c *checker) users() error {
	err := recordsOf(c, "user/", func(k string, u User) error {
		if !c.sameID(k, u.ID) {
			return nil
		}
		return points(c, k, record.Key("username", u.Name), u.ID)
	})
	if err != nil {
		return err
	}
	if err := recordsOf(c, "username/", func(k string, u id.ID) error {
		return c.homeHas(k, record.Key("user", u), func(raw []byte) bool {
			var v User
			return json.Unmarshal(raw, &v) == nil && "username/"+v.Name == k
		})
	}); err != nil {
		return err
	}
	return record.Scan(c.ctx, c.kv, "password/", "", func(r kv.Record) (bool, error) {
		if _, err := bcrypt.Cost(r.Value); err != nil {
			c.wrong(r.Key, "it is no hash of bcrypt")
		}
		user, err := id.Parse(record.Last(r.Key))
		if err != nil {
			c.wrong(r.Key, "its key names no user")
			return true, nil
		}
		return true, c.there(r.Key, "user", user)
	})
}

// homeHas checks that the record an index leads to is there and leads back.
func (c *checker) homeHas(index, home string, back func(raw []byte) bool) error {
	r, _, ok, err := record.Find[json.RawMessage](c.ctx, c.kv, home)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return err
	case err != nil || ok && !back(r):
		c.wrong(index, "%s, which it leads to, is of something else", home)
	case !ok:
		c.wrong(index, "%s, which it leads to, is missing", home)
	}
	return nil
}

func (c *checker) orgs() error {
	err := recordsOf(c, "org/", func(k string, o Org) error {
		if !c.sameID(k, o.ID) {
			return nil
		}
		return points(c, k, record.Key("orgname", o.Name), o.ID)
	})
	if err != nil {
		return err
	}
	err = recordsOf(c, "orgname/", func(k string, o id.ID) error {
		return c.homeHas(k, record.Key("org", o), func(raw []byte) bool {
			var v Org
			return json.Unmarshal(raw, &v) == nil && "orgname/"+v.Name == k
		})
	})
	if err != nil {
		return err
	}
	return recordsOf(c, "orgplace/", func(k string, o id.ID) error { return c.there(k, "org", o) })
}

func (c *checker) members() error {
	for _, side := range []struct{ folder, other, first, second string }{
		{"member", "memberof", "org", "user"}, {"memberof", "member", "user", "org"},
	} {
		err := recordsOf(c, side.folder+"/", func(k string, role Role) error {
			a, b, _ := strings.Cut(strings.TrimPrefix(k, side.folder+"/"), "/")
			first, err1 := id.Parse(a)
			second, err2 := id.Parse(b)
			if err1 != nil || err2 != nil || role != RoleOwner && role != RoleMember {
				c.wrong(k, "it is malformed")
				return nil
			}
			if err := points(c, k, record.Key(side.other, second, first), role); err != nil {
				return err
			}
			if err := c.there(k, side.first, first); err != nil {
				return err
			}
			return c.there(k, side.second, second)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) buckets() error {
	err := recordsOf(c, "bucket/", func(k string, b Bucket) error {
		if !c.sameID(k, b.ID) {
			return nil
		}
		if err := points(c, k, record.Key("bucketname", b.OrgID, b.Name), b.ID); err != nil {
			return err
		}
		return c.there(k, "org", b.OrgID)
	})
	if err != nil {
		return err
	}
	return recordsOf(c, "bucketname/", func(k string, b id.ID) error {
		return c.homeHas(k, record.Key("bucket", b), func(raw []byte) bool {
			var v Bucket
			return json.Unmarshal(raw, &v) == nil && record.Key("bucketname", v.OrgID, v.Name) == k
		})
	})
}

func (c *checker) authorizations() error {
	err := recordsOf(c, "auth/", func(k string, a Authorization) error {
		if !c.sameID(k, a.ID) {
			return nil
		}
		if len(a.Hash) != len(Hash{}) {
			c.wrong(k, "it has no token's hash")
			return nil
		}
		if err := points(c, k, record.Key("authhash", a.TokenHash()), a.ID); err != nil {
			return err
		}
		indexes := []string{record.Key("authuser", a.UserID, a.ID), record.Key("authorg", a.OrgID, a.ID)}
		if a.Lease != nil {
			indexes = append(indexes, a.leaseKey())
		}
		for _, index := range indexes {
			if err := points(c, k, index, true); err != nil {
				return err
			}
		}
		if err := c.there(k, "user", a.UserID); err != nil {
			return err
		}
		return c.there(k, "org", a.OrgID)
	})
	if err != nil {
		return err
	}
	if err := recordsOf(c, "authhash/", func(k string, a id.ID) error {
		return c.homeHas(k, record.Key("auth", a), func(raw []byte) bool {
			var v Authorization
			return json.Unmarshal(raw, &v) == nil && len(v.Hash) == len(Hash{}) && c.isAt(k, record.Key("authhash",
				v.TokenHash()))
		})
	}); err != nil {
		return err
	}
	for _, folder := range []string{"authuser", "authorg", "authlease"} {
		if err := recordsOf(c, folder+"/", func(k string, _ bool) error {
			return c.homeHas(k, "auth/"+record.Last(k), func(raw []byte) bool {
				var v Authorization
				return json.Unmarshal(raw, &v) == nil && (k == record.Key("authuser", v.UserID,
					v.ID) || k == record.Key("authorg", v.OrgID, v.ID) ||
					v.Lease != nil && k == v.leaseKey())
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) appRoles() error {
	err := recordsOf(c, "approle/", func(k string, r AppRole) error {
		if record.Key("approle", r.Name) != k {
			c.wrong(k, "it says it is %s", r.Name)
			return nil
		}
		return points(c, k, record.Key("approleid", r.ID), r.Name)
	})
	if err != nil {
		return err
	}
	return recordsOf(c, "approleid/", func(k, name string) error {
		return c.homeHas(k, record.Key("approle", name), func(raw []byte) bool {
			var r AppRole
			return json.Unmarshal(raw, &r) == nil && record.Key("approleid", r.ID) == k
		})
	})
}

// signIns looks at when users signed in. One who was deleted while they did leaves a record that nobody reads.
func (c *checker) signIns() error {
	return recordsOf(c, "signedin/", func(k string, _ time.Time) error {
		if _, err := id.Parse(record.Last(k)); err != nil {
			c.wrong(k, "its key names no user")
		}
		return nil
	})
}

// revoked looks at the authorizations that were deleted a moment ago: none of them may be found by its token.
func (c *checker) revoked() error {
	return recordsOf(c, "authgone/", func(k string, r Revoked) error {
		if !c.sameID(k, r.Authorization.ID) {
			return nil
		}
		_, err := c.kv.Get(c.ctx, record.Key("auth", r.Authorization.ID))
		if err == nil {
			c.wrong(k, "the authorization is there, too")
		}
		if errors.Is(err, kv.ErrNotFound) {
			err = nil
		}
		return err
	})
}

// loose looks at the records of which no other tells: whether they can be read.
func (c *checker) loose() error {
	for _, pre := range []string{"secretid/", "wrapped/", "deleting/", "setup"} {
		if err := recordsOf(c, pre, func(string, json.RawMessage) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) sessions() error {
	err := recordsOf(c, "session/", func(k string, n Session) error {
		if err := points(c, k, record.Key("sessionuser", n.UserID, record.Last(k)), true); err != nil {
			return err
		}
		return c.there(k, "user", n.UserID)
	})
	if err != nil {
		return err
	}
	return recordsOf(c, "sessionuser/", func(k string, _ bool) error {
		return c.homeHas(k, "session/"+record.Last(k), func(raw []byte) bool {
			var n Session
			return json.Unmarshal(raw, &n) == nil && k == record.Key("sessionuser", n.UserID, record.Last(k))
		})
	})
}
