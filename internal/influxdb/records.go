package influxdb

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

const (
	authorizationsBucket = "authorizationsv1"
	secretsBucket        = "secretsv1"
	mappingsBucket       = "userresourcemappingsv1"
)

// readers read the records of the buckets that are taken over. Each says why it takes a record not, or "".
var readers = map[string]func(w *walk, key string, value []byte) (why string){
	"usersv1":            (*walk).user,
	"userspasswordv1":    (*walk).password,
	"organizationsv1":    (*walk).org,
	mappingsBucket:       (*walk).mapping,
	"bucketsv1":          (*walk).bucket,
	authorizationsBucket: nil, // these two are read by themselves
	secretsBucket:        nil,
}

// kinds are what the report calls the records of those buckets.
var kinds = map[string]string{
	"usersv1": "user", "userspasswordv1": "password", "organizationsv1": "organization", mappingsBucket: "member",
	"bucketsv1": "bucket", authorizationsBucket: "authorization", secretsBucket: "secret",
}

// notKept are the buckets of things that Strongroom does not have, with what the report calls them.
var notKept = map[string]string{
	"dashboardsv2": "dashboard", "dashboardcellviewsv1": "dashboard cell", "tasksv1": "task", "taskRunsv1": "task run",
	"telegrafv1": "telegraf configuration", "telegrafPluginsv1": "telegraf plugin", "variablesv1": "variable",
	"labelsv1": "label", "labelmappingsv1": "label mapping", "checksv1": "check",
	"notificationRulev1": "notification rule", "notificationEndpointv1": "notification endpoint",
	"scraperv2": "scraper", "dbrpv1": "database mapping", "templates/documents/content": "document",
	"sessionsv1": "session (users sign in again)", "sessionsv2": "session (users sign in again)", "v1_stacks": "stack",
	"legacy/authorizationsv1":        "authorization of the 1.x API",
	"legacy/authorizationPasswordv1": "password of the 1.x API", "annotationsv1": "annotation",
	"notebooksv1": "notebook", "remotesv1": "remote", "replicationsv1": "replication",
}

// indexes are buckets that say again what others say, or something about the file itself.
var indexes = []string{
	"Build", "ConfigV1", "Dashoard", "Layout", "MappingsV1", "OrganizationConfigV1", "OrganizationsV1",
	"SchemaVersions", "Servers", "Sources", "UsersV2", "idsv1", "migrationsv1", "onboardingv1", "sourcesv1",
	"keyvaluelogv1", "keyvaluelogindexv1", "variableorgsv1", "orgsdashboardsv1", "taskIndexsv1",
	"templates/documents/meta", "dbrpdefaultv1", "telemetryv1",
}

func isIndex(bucket string) bool {
	return slices.Contains(indexes, bucket) || strings.Contains(strings.ToLower(bucket), "index")
}

const malformed = "its record is malformed"

// decode reads a JSON record whose ID is its key.
func decode(key string, value []byte, into any, got *id.ID) bool {
	want, err := id.Parse(key)
	return err == nil && json.Unmarshal(value, into) == nil && *got == want
}

// status is active where nothing is said, as in the alphas.
func status(s identity.Status) identity.Status {
	if s == "" {
		return identity.Active
	}
	return s
}

func (w *walk) user(key string, value []byte) string {
	var u struct {
		ID     id.ID           `json:"id"`
		Name   string          `json:"name"`
		Status identity.Status `json:"status"`
	}
	if !decode(key, value, &u, &u.ID) {
		return malformed
	}
	w.contents.Users = append(w.contents.Users,
		User{User: identity.User{ID: u.ID, Name: u.Name, Status: status(u.Status)}})
	return ""
}

func (w *walk) password(key string, value []byte) string {
	user, err := id.Parse(key)
	if err != nil {
		return malformed
	}
	w.passwords[user] = bytes.Clone(value)
	return ""
}

func (w *walk) org(key string, value []byte) string {
	var o struct {
		ID          id.ID     `json:"id"`
		Name        string    `json:"name"`
		Description string    `json:"description"`
		CreatedAt   time.Time `json:"createdAt"`
		UpdatedAt   time.Time `json:"updatedAt"`
	}
	if !decode(key, value, &o, &o.ID) {
		return malformed
	}
	w.contents.Orgs = append(w.contents.Orgs, identity.Org(o))
	return ""
}

func (w *walk) mapping(_ string, value []byte) string {
	var m struct {
		UserID       id.ID         `json:"userID"`
		UserType     identity.Role `json:"userType"`
		ResourceType string        `json:"resourceType"`
		ResourceID   id.ID         `json:"resourceID"`
	}
	if err := json.Unmarshal(value, &m); err != nil || !m.UserID.Valid() || !m.ResourceID.Valid() {
		return malformed
	}
	switch {
	case m.UserType != identity.RoleOwner && m.UserType != identity.RoleMember:
		return "the user's role is neither owner nor member"
	case m.ResourceType == "instance":
		if m.UserType == identity.RoleOwner {
			w.instance[m.UserID] = true
		}
	case m.ResourceType == "orgs" || m.ResourceType == "org":
		w.contents.Members = append(w.contents.Members, Member{OrgID: m.ResourceID, UserID: m.UserID, Role: m.UserType})
	default:
		w.roles++
	}
	return ""
}

func (w *walk) bucket(key string, value []byte) string {
	var b struct {
		ID          id.ID           `json:"id"`
		OrgID       id.ID           `json:"orgID"`
		OldOrgID    *id.ID          `json:"organizationID"` // the alphas' name of it
		Type        json.RawMessage `json:"type"`           // 0 and 1, or words
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Retention   time.Duration   `json:"retentionPeriod"`
		CreatedAt   time.Time       `json:"createdAt"`
		UpdatedAt   time.Time       `json:"updatedAt"`
	}
	if !decode(key, value, &b, &b.ID) {
		return malformed
	}
	if !b.OrgID.Valid() && b.OldOrgID != nil {
		b.OrgID = *b.OldOrgID
	}
	if !b.OrgID.Valid() || b.Retention < 0 {
		return malformed
	}
	kind := "user"
	if t := strings.Trim(string(b.Type), `"`); t == "1" || t == "system" {
		kind = "system"
	}
	w.contents.Buckets = append(w.contents.Buckets, identity.Bucket{ID: b.ID, OrgID: b.OrgID, Type: kind, Name: b.Name,
		Description: b.Description, Retention: b.Retention, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt})
	return ""
}

// readAuthorization reads an authorization, or says why it cannot be. Unknown are the permissions that are left out.
func readAuthorization(key string, value []byte) (_ identity.Authorization, unknown []Skip, why string) {
	var none identity.Authorization
	var a struct {
		ID          id.ID             `json:"id"`
		Token       string            `json:"token"`
		HashedToken string            `json:"hashedToken"`
		Status      identity.Status   `json:"status"`
		Description string            `json:"description"`
		OrgID       *id.ID            `json:"orgID"`
		UserID      *id.ID            `json:"userID"`
		Permissions []json.RawMessage `json:"permissions"`
		CreatedAt   time.Time         `json:"createdAt"`
		UpdatedAt   time.Time         `json:"updatedAt"`
	}
	if !decode(key, value, &a, &a.ID) {
		return none, nil, malformed
	}
	if a.OrgID == nil || a.UserID == nil {
		return none, nil, "it names no organization or no user"
	}
	hash, why := tokenHash(a.Token, a.HashedToken)
	if why != "" {
		return none, nil, why
	}
	var permissions []access.Permission
	for _, raw := range a.Permissions {
		var p access.Permission
		if json.Unmarshal(raw, &p) != nil || p.Valid() != nil {
			unknown = append(unknown, Skip{Kind: "permission", Name: clip(a.ID.String() + ": " + a.Description),
				Count: 1, Why: "a permission of this authorization is about nothing that is known here; the others " +
					"are kept"})
			continue
		}
		p.Resource.Name = "" // InfluxDB shows it and goes by the ID; ours would narrow the permission
		permissions = append(permissions, p)
	}
	if mayEverything(permissions) {
		// An operator's token. Those of versions that did not know the type instance go on being so here.
		for _, p := range []access.Permission{access.ReadServer, access.WriteServer} {
			if !slices.Contains(permissions, p) {
				permissions = append(permissions, p)
			}
		}
	}
	return identity.Authorization{ID: a.ID, Hash: hash, Status: status(a.Status), Description: a.Description,
		OrgID: *a.OrgID, UserID: *a.UserID, Permissions: permissions, CreatedAt: a.CreatedAt,
		UpdatedAt: a.UpdatedAt}, unknown, ""
}
