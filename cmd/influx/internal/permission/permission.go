// Package permission puts together what a new token may do, as the original influx CLI does.
package permission

import "strongroom/client"

// Types are the types of resources that --read-TYPE and --write-TYPE exist for, in the original's order. (Its types of
// InfluxData's cloud service, flows and functions, no server one can install knows.)
var Types = []string{
	"authorizations", "buckets", "dashboards", "orgs", "tasks", "telegrafs", "users", "variables", "secrets",
	"labels", "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "annotations",
	"sources", "scrapers", "notebooks", "remotes", "replications", "instance",
}

// Actions are what one can be allowed to do.
var Actions = []string{"read", "write"}

// Use is the action that gives out the values of secrets. It is Strongroom's, and part of no set of permissions.
const Use = "use"

// OfOrg is a type within an organisation, as far as it belongs to one.
func OfOrg(kind, orgID string) client.Resource {
	if kind == "orgs" || kind == "users" || kind == "instance" {
		return client.Resource{Type: kind}
	}
	return client.Resource{Type: kind, OrgID: orgID}
}

// Everywhere is all one may do with things of these types in all organisations.
func Everywhere(kinds []string) []client.Permission {
	var all []client.Permission
	for _, kind := range kinds {
		for _, action := range Actions {
			all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: kind}})
		}
	}
	return all
}

// WithinOrg is all one may do in an organisation: read it, change oneself, and read and write what belongs to it.
func WithinOrg(kinds []string, orgID, userID string) []client.Permission {
	var all []client.Permission
	for _, kind := range kinds {
		switch kind {
		case "instance": // the server as a whole, which belongs to its operator
		case "orgs":
			all = append(all, client.Permission{Action: "read", Resource: client.Resource{Type: kind, ID: orgID}})
		case "users":
			for _, action := range Actions {
				all = append(all, client.Permission{Action: action, Resource: client.Resource{Type: kind, ID: userID}})
			}
		default:
			for _, action := range Actions {
				all = append(all, client.Permission{Action: action, Resource: OfOrg(kind, orgID)})
			}
		}
	}
	return all
}
