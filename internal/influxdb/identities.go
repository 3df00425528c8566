package influxdb

import (
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

// Identities are whom InfluxDB kept, to be taken over under the IDs they had there.
type Identities struct {
	Users   []User
	Orgs    []identity.Org
	Members []Member
	Buckets []identity.Bucket
}

// User is a user with the bcrypt hash of the password; nil where there is none.
type User struct {
	identity.User
	PasswordHash []byte
}

// Member is a user's role in an organisation.
type Member struct {
	OrgID  id.ID
	UserID id.ID
	Role   identity.Role
}
