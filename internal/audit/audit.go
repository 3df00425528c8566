// Package audit says what the record of who did what consists of. Package auditlog keeps it: one JSON line an act, in
// sinks that are written before the act is carried out. The lines are chained by a keyed hash (package chain), so that
// a line that was changed, taken out or moved shows (package verify).
package audit

import (
	"context"
	"strings"
	"time"
)

// Outcome tells what became of an act.
type Outcome string

// The outcomes. An act that is allowed and succeeds leaves one entry, written before it; one that is allowed and then
// fails leaves a second, Failed entry with the same request ID.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	Failed  Outcome = "failed"
)

// Entry is one act. It never holds a value, a token or a password. IDs are 16 hexadecimal characters, or empty where
// there is none.
type Entry struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestID,omitempty"`

	// Who.
	UserID          string `json:"userID,omitempty"`
	User            string `json:"user,omitempty"`
	AuthorizationID string `json:"authorizationID,omitempty"`
	// the ID of the user who made the authorization, where that is another
	MadeBy  string `json:"madeBy,omitempty"`
	Session bool   `json:"session,omitempty"`
	Address string `json:"address,omitempty"`

	// What: an action such as "secrets.list", "secrets.apply", "authorizations.create", "users.password", and what it
	// was done to.
	Action string   `json:"action"`
	OrgID  string   `json:"orgID,omitempty"`
	Keys   []string `json:"keys,omitempty"`
	// KeysOmitted counts the keys of a list or a use that did not fit into the line. The log sets it.
	KeysOmitted int    `json:"keysOmitted,omitempty"`
	Target      string `json:"target,omitempty"`
	// Detail says what a change of a user, a token or an organisation is: the new name or state, the permissions.
	Detail string `json:"detail,omitempty"`

	Outcome Outcome `json:"outcome"`
	// Code is the error code of a Denied or Failed act.
	Code string `json:"code,omitempty"`
	// Repeated counts further refusals like this one that were not written one by one (see access.Guard.TurnAway).
	Repeated int `json:"repeated,omitempty"`

	// Reserve is what of the reserve on a full disk the entry may use. It is not written.
	Reserve Reserve `json:"-"`
}

// Reserve says who may use the room that is kept for the record on a full disk.
type Reserve int

// Each may use more of it than the one before.
const (
	ReserveNone  Reserve = iota // changes, and what strangers do
	ReserveReads                // reading of names and values: the first half
	ReserveAll                  // what operators do
)

// looks are what comes after the group in the actions that change nothing.
var looks = map[string]bool{"list": true, "read": true, "info": true, "deleted": true, "members": true, "use": true}

// Looks reports whether an action changes nothing, whatever it is done to.
func Looks(action string) bool {
	_, act, _ := strings.Cut(action, ".")
	return looks[act]
}

// Recorder takes entries. An error means that no sink took the entry, and that the act must not happen.
type Recorder interface {
	Record(ctx context.Context, e Entry) error
}

// Health is whether acts can be put on record.
type Health struct {
	OK bool // at least one sink takes lines, so that acts take place
	// Problems say what is wrong, a sentence each, without a path or an address.
	Problems []string
}
