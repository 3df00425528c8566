package identity

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// quick finds out whether records are sound, and not what is wrong with them: that takes a look-up for every record and
// every index, which cost ten times as much where there are a million. It reads each record once, in the order of
// the file. The indexes that the records call for, and those that are there, are added up as two sums of keyed hashes,
// which are the same where the indexes are. Users and organisations are known by their IDs, 8 bytes each.
type quick struct {
	ctx         context.Context
	kv          kv.Store
	users, orgs []id.ID // in order, those that are being deleted among them
	seeds       [2]maphash.Seed
	sums        [2]uint64 // of what is called for, less what is there
}

// errUnsound ends the quick way where something is wrong.
var errUnsound = errors.New("identity: a record is not sound")

func newQuick(ctx context.Context, store kv.Store) (*quick, error) {
	q := &quick{ctx: ctx, kv: store, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	var err error
	if q.users, err = q.known("user/"); err != nil {
		return nil, err
	}
	q.orgs, err = q.known("org/")
	return q, err
}

// known are the IDs that the keys below a prefix end in, also of what is being deleted.
func (q *quick) known(pre string) (all []id.ID, err error) {
	for _, p := range []string{pre, "deleting/" + pre} {
		if err := record.Scan(q.ctx, q.kv, p, "", func(r kv.Record) (bool, error) {
			if i, err := id.Parse(record.Last(r.Key)); err == nil { // else it is told where its kind is looked at
				all = append(all, i)
			}
			return true, nil
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

// sound reports whether all of a kind is.
func (q *quick) sound(kind func() error) (bool, error) {
	q.sums = [2]uint64{}
	err := kind()
	if errors.Is(err, errUnsound) {
		return false, nil
	}
	return q.sums == [2]uint64{}, err
}

// hashes are of one index, under keys that only this run has: nobody can make another that adds up to the same.
func (q *quick) hashes(key string, value []byte) (h [2]uint64) {
	for i, seed := range q.seeds {
		var m maphash.Hash
		m.SetSeed(seed)
		m.WriteString(key)
		m.WriteByte(0)
		m.Write(value)
		h[i] = m.Sum64()
	}
	return h
}

// calls is told of the indexes that a record calls for.
func (q *quick) calls(indexes ...kv.Op) error {
	for _, op := range indexes {
		key, err := q.keyOf(op.Key)
		if err != nil {
			return err
		}
		h := q.hashes(key, op.Value)
		q.sums[0] += h[0]
		q.sums[1] += h[1]
	}
	return nil
}

// keyOf is where the engine may have what is known by a key (barrier.Store).
func (q *quick) keyOf(key string) (string, error) {
	if keyed, ok := q.kv.(interface{ KeyOf(string) (string, error) }); ok {
		return keyed.KeyOf(key)
	}
	return key, nil
}

// indexes reads those that are there.
func (q *quick) indexes(folders ...string) error {
	for _, folder := range folders {
		if err := record.Scan(q.ctx, q.kv, folder, "", func(r kv.Record) (bool, error) {
			key, err := q.keyOf(r.Key)
			h := q.hashes(key, r.Value)
			q.sums[0] -= h[0]
			q.sums[1] -= h[1]
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// homes reads the records of a kind, each of which must say of itself what its key does.
func homes[T any](q *quick, pre string, own func(T) id.ID, f func(k string, v T) error) error {
	return record.Scan(q.ctx, q.kv, pre, "", func(r kv.Record) (bool, error) {
		var v T
		if json.Unmarshal(r.Value, &v) != nil || own != nil && record.Last(r.Key) != own(v).String() {
			return false, errUnsound
		}
		err := f(r.Key, v)
		return err == nil, err
	})
}

// there checks that what is named exists.
func there(all []id.ID, i id.ID) error {
	if _, ok := slices.BinarySearch(all, i); !ok {
		return errUnsound
	}
	return nil
}

func (q *quick) named(user, org id.ID) error {
	return errors.Join(there(q.users, user), there(q.orgs, org))
}

func (q *quick) userRecords() error {
	err := homes(q, "user/", func(u User) id.ID { return u.ID }, func(_ string, u User) error {
		return q.calls(u.indexes()...)
	})
	if err != nil {
		return err
	}
	if err := record.Scan(q.ctx, q.kv, "password/", "", func(r kv.Record) (bool, error) {
		user, err := id.Parse(record.Last(r.Key))
		if _, costErr := bcrypt.Cost(r.Value); err != nil || costErr != nil {
			return false, errUnsound
		}
		err = there(q.users, user)
		return err == nil, err
	}); err != nil {
		return err
	}
	return q.indexes("username/")
}

func (q *quick) orgRecords() error {
	err := homes(q, "org/", func(o Org) id.ID { return o.ID }, func(_ string, o Org) error {
		return q.calls(o.indexes()...)
	})
	if err != nil {
		return err
	}
	if err := homes(q, "orgplace/", nil, func(_ string, o id.ID) error { return there(q.orgs, o) }); err != nil {
		return err
	}
	return q.indexes("orgname/")
}

func (q *quick) members() error {
	if err := homes(q, "member/", nil, func(k string, role Role) error {
		a, b, _ := strings.Cut(strings.TrimPrefix(k, "member/"), "/")
		org, orgErr := id.Parse(a)
		user, userErr := id.Parse(b)
		if orgErr != nil || userErr != nil || role != RoleOwner && role != RoleMember {
			return errUnsound
		}
		if err := q.named(user, org); err != nil {
			return err
		}
		return q.calls(GiveRole(org, user, role)[1:]...)
	}); err != nil {
		return err
	}
	return q.indexes("memberof/")
}

func (q *quick) buckets() error {
	if err := homes(q, "bucket/", func(b Bucket) id.ID { return b.ID }, func(_ string, b Bucket) error {
		if err := there(q.orgs, b.OrgID); err != nil {
			return err
		}
		return q.calls(b.indexes()...)
	}); err != nil {
		return err
	}
	return q.indexes("bucketname/")
}

func (q *quick) authorizations() error {
	if err := homes(q, "auth/", func(a Authorization) id.ID { return a.ID }, func(_ string, a Authorization) error {
		if len(a.Hash) != len(Hash{}) {
			return errUnsound
		}
		if err := q.named(a.UserID, a.OrgID); err != nil {
			return err
		}
		return q.calls(a.indexes()...)
	}); err != nil {
		return err
	}
	return q.indexes("authhash/", "authuser/", "authorg/", "authlease/")
}

func (q *quick) sessions() error {
	if err := homes(q, "session/", nil, func(k string, n Session) error {
		if err := there(q.users, n.UserID); err != nil {
			return err
		}
		return q.calls(record.Put(record.Key("sessionuser", n.UserID, record.Last(k)), true))
	}); err != nil {
		return err
	}
	return q.indexes("sessionuser/")
}
