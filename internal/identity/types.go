// Package identity is what is kept of users, organisations, their members, authorizations (API tokens), sessions and
// bucket records: their forms, where their records are, what may be in them, and whether they fit together. Package
// authn tells by them who somebody is; package directory changes them for callers.
package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// Status tells whether a user or an authorization may be used.
type Status string

// The two states.
const (
	Active   Status = "active"
	Inactive Status = "inactive"
)

// Valid checks a status that came from outside.
func (s Status) Valid() error {
	if s != Active && s != Inactive {
		return errs.New(errs.Invalid, "status must be active or inactive")
	}
	return nil
}

// User is somebody who can sign in and hold tokens.
type User struct {
	ID     id.ID  `json:"id"`
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Operator marks the user who set the server up; their sessions may do everything.
	Operator bool `json:"operator,omitempty"`
	// PasswordAt is when the password was last set; sessions from before are void.
	PasswordAt time.Time `json:"passwordAt,omitzero"`

	// SignedInAt is when they last opened a session. It is kept beside the record and filled in on reading; nil means
	// not since that is kept.
	SignedInAt *time.Time `json:"-"`
}

// Org is an organisation: what secrets belong to.
type Org struct {
	ID          id.ID     `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// Role is what a user is in an organisation.
type Role string

// The two roles.
const (
	RoleMember Role = "member"
	RoleOwner  Role = "owner"
)

// Membership is one user's role in an organisation.
type Membership struct {
	User User
	Role Role
}

// Authorization is an API token with what it may do. The token itself is not kept.
type Authorization struct {
	ID          id.ID  `json:"id"`
	Hash        []byte `json:"hash"` // SHA-256 of the token
	Status      Status `json:"status"`
	Description string `json:"description"`
	OrgID       id.ID  `json:"orgID"`
	UserID      id.ID  `json:"userID"`
	// the user who made it; zero in records from before that was kept
	MadeBy      id.ID               `json:"madeBy,omitzero"`
	Permissions []access.Permission `json:"permissions"`
	CreatedAt   time.Time           `json:"createdAt"`
	UpdatedAt   time.Time           `json:"updatedAt"`
	ExpiresAt   *time.Time          `json:"expiresAt,omitempty"`
	// Lease is nil for a token that somebody made to last.
	Lease *Lease `json:"lease,omitempty"`

	// LastUsedAt is kept beside the record and filled in on reading; nil means never.
	LastUsedAt *time.Time `json:"-"`
}

// Revoked is an authorization that was deleted a moment ago, while that can be undone. Its token is refused: it is in
// no index.
type Revoked struct {
	ExpiresAt     time.Time     `json:"expiresAt"` // until which it can be undone
	Authorization Authorization `json:"authorization"`
	Used          []byte        `json:"used,omitempty"` // the record of when it was used last
}

// Lease is what a token has that a program was given for a time: it can be renewed within bounds, and it is removed
// when it has ended. It ends with the token that it was made by, too.
type Lease struct {
	Parent    id.ID             `json:"parent,omitzero"`
	Role      string            `json:"role,omitempty"`  // that logged in for it, where it hangs on no other token
	Depth     int               `json:"depth,omitempty"` // how many it hangs on
	TTL       time.Duration     `json:"ttl"`             // what a renewal gives that asks for no time
	Until     time.Time         `json:"until"`           // which no renewal goes beyond
	Max       time.Duration     `json:"max,omitempty"`   // what was asked for as the bound
	Renewable bool              `json:"renewable,omitempty"`
	RenewedAt time.Time         `json:"renewedAt,omitzero"`
	Display   string            `json:"display,omitempty"`
	Path      string            `json:"path"` // of the request that made it
	Meta      map[string]string `json:"meta,omitempty"`
}

// AppRole is what a program logs in as that has a secret ID of it: it is given tokens with these
// permissions, for a time.
type AppRole struct {
	Name        string              `json:"name"`
	ID          id.ID               `json:"id"`
	OrgID       id.ID               `json:"orgID"`
	UserID      id.ID               `json:"userID"` // whom its tokens stand for
	Permissions []access.Permission `json:"permissions"`
	TTL         time.Duration       `json:"ttl"`
	MaxTTL      time.Duration       `json:"maxTTL"`
	CreatedAt   time.Time           `json:"createdAt"`

	SecretIDUses int           `json:"secretIDUses,omitempty"` // of new ones; 0 is without an end
	SecretIDTTL  time.Duration `json:"secretIDTTL,omitempty"`
	SecretIDFrom []string      `json:"secretIDFrom,omitempty"` // networks in CIDR form
}

// SecretID is what is kept of a secret ID; it itself is not.
type SecretID struct {
	ID        id.ID     `json:"id"`
	Role      id.ID     `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	Uses      int       `json:"uses,omitempty"` // that are left; 0 is without an end
	From      []string  `json:"from,omitempty"`
}

// Hash is the SHA-256 of a token. Tokens are 512 random bits, so that a plain hash cannot be reversed, and looking one
// up by its hash takes a time that tells nothing of any token.
type Hash [sha256.Size]byte

// TokenHash is the token's hash, by which it is found. Of a damaged record, whose hash has another length, it is one
// that no token has.
func (a Authorization) TokenHash() (h Hash) {
	if len(a.Hash) == len(h) {
		h = Hash(a.Hash)
	}
	return h
}

// String is the hash in hexadecimal, as keys have it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// HashOf is the hash of a token.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// Session is what is kept of a sign-in; its token is not.
type Session struct {
	UserID    id.ID     `json:"userID"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	Address   string    `json:"address,omitempty"` // of the client that signed in
}

// Bucket is the record of a bucket. It holds no data; clients expect it.
type Bucket struct {
	ID          id.ID         `json:"id"`
	OrgID       id.ID         `json:"orgID"`
	Type        string        `json:"type"` // "user" or "system"
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Retention   time.Duration `json:"retention"` // 0 keeps for ever
	CreatedAt   time.Time     `json:"createdAt"`
	UpdatedAt   time.Time     `json:"updatedAt"`
}

// SystemBuckets are the two that InfluxDB makes in every organisation (tenant/service_bucket.go: tasks are kept 3 days,
// monitoring 7).
func SystemBuckets(org id.ID, now time.Time, next func() id.ID) []Bucket {
	b := Bucket{OrgID: org, Type: "system", CreatedAt: now.UTC(), UpdatedAt: now.UTC()}
	tasks, monitoring := b, b
	tasks.ID, tasks.Name, tasks.Retention = next(), "_tasks", 3*24*time.Hour
	tasks.Description = "System bucket for task logs"
	monitoring.ID, monitoring.Name, monitoring.Retention = next(), "_monitoring", 7*24*time.Hour
	monitoring.Description = "System bucket for monitoring logs"
	return []Bucket{tasks, monitoring}
}
