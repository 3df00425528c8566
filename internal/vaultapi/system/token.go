package system

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/vaultapi/dialect"
)

// LookupSelf tells the caller of their own token.
func (s *System) LookupSelf(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.NotAllowed(nil)
	}
	a, err := s.Directory.Self(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	lease := leaseOf(a)
	now := time.Now()
	data := map[string]any{
		"accessor": a.ID.String(), "creation_time": a.CreatedAt.Unix(), "creation_ttl": int64(0),
		"display_name": lease.Display, "entity_id": "", "expire_time": nil, "explicit_max_ttl": seconds(lease.Max),
		"id": r.Token, "issue_time": a.CreatedAt.UTC(), "meta": lease.Meta, "num_uses": 0,
		"orphan": !lease.Parent.Valid(), "path": lease.Path, "policies": Policies(a.Permissions),
		"renewable": lease.Renewable, "ttl": int64(0), "type": "service",
	}
	if a.ExpiresAt != nil {
		data["expire_time"] = a.ExpiresAt.UTC()
		data["ttl"] = seconds(a.ExpiresAt.Sub(now))
		data["creation_ttl"] = seconds(a.ExpiresAt.Sub(a.CreatedAt))
	}
	if lease.TTL > 0 {
		data["creation_ttl"] = seconds(lease.TTL)
	}
	if !lease.RenewedAt.IsZero() {
		data["last_renewal"], data["last_renewal_time"] = lease.RenewedAt.UTC(), lease.RenewedAt.Unix()
	}
	return &dialect.Answer{Data: data}, nil
}

// leaseOf is a token's lease; that of a lasting token says that it is none.
func leaseOf(a identity.Authorization) identity.Lease {
	if a.Lease != nil {
		return *a.Lease
	}
	return identity.Lease{Display: "token", Path: "auth/token/create"}
}

// seconds are whole ones, not below 0; the rest of one counts as one.
func seconds(d time.Duration) int64 { return max(0, int64((d+time.Second-1)/time.Second)) }

// Policies names what a token may do with secrets. Other permissions mean nothing here.
func Policies(ps []access.Permission) []string {
	names := []string{"default"}
	for _, p := range ps {
		if p.Resource.Type == access.Secrets {
			names = append(names, policy(p))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Permission is the permission that a policy is the name of.
func Permission(name string) (access.Permission, error) {
	action, rest, ok := strings.Cut(name, ":")
	p := access.To(access.Action(action), access.Resource{Type: access.Secrets})
	if within, found := strings.CutPrefix(rest, "orgs/"); ok && found {
		var org string
		org, rest, _ = strings.Cut(within, "/")
		var err error
		if p.Resource.OrgID, err = id.Parse(org); err != nil {
			return p, dialect.Refuse("a policy names an organization by its ID: use:orgs/<org-id>/secrets")
		}
	}
	kind, key, narrowed := strings.Cut(rest, "/")
	if !ok || kind != string(access.Secrets) || narrowed && key == "" {
		return p, dialect.Refuse("a policy here is a permission, such as use:orgs/<org-id>/secrets or " +
			"read:orgs/<org-id>/secrets/db/*")
	}
	p.Resource.Name = key
	return p, p.Valid()
}

// policy is the name of a permission: use:orgs/031c8cbefe101000/secrets, with the name that it is
// narrowed to behind it.
func policy(p access.Permission) string {
	if p.Resource.Name != "" {
		return p.String() + "/" + p.Resource.Name
	}
	return p.String()
}

// AuthBody is what clients take a token from.
func (s *System) AuthBody(a identity.Authorization, token string) map[string]any {
	lease := leaseOf(a)
	left := int64(0)
	if a.ExpiresAt != nil {
		left = seconds(time.Until(*a.ExpiresAt))
	}
	names := Policies(a.Permissions)
	return map[string]any{
		"client_token": token, "accessor": a.ID.String(), "policies": names, "token_policies": names,
		"metadata": lease.Meta, "lease_duration": left, "renewable": lease.Renewable, "entity_id": "",
		"token_type": "service", "orphan": !lease.Parent.Valid(), "mfa_requirement": nil, "num_uses": 0,
	}
}

// RenewSelf gives the caller's token more time, where it is one that was made for a time.
func (s *System) RenewSelf(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	increment, err := body.Duration("increment")
	if err != nil {
		return nil, err
	}
	a, capped, err := s.Directory.RenewSelf(r.Context(), r.Caller, increment)
	if err != nil {
		return nil, err
	}
	answer := &dialect.Answer{Auth: s.AuthBody(a, r.Token)}
	if capped {
		answer.Warnings = []string{"the token may not last as long as was asked for; its time is capped accordingly"}
	}
	return answer, nil
}

// RevokeSelf ends the caller's token.
func (s *System) RevokeSelf(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	return nil, s.Directory.RevokeSelf(r.Context(), r.Caller)
}

// CreateToken makes a token that may do no more than the caller's, and lasts no longer.
func (s *System) CreateToken(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	if err := refuseUnknown(body); err != nil {
		return nil, err
	}
	n := authorizations.Child{Renewable: true, Path: "auth/token/create"}
	if n.TTL, err = body.Duration("ttl"); err != nil {
		return nil, err
	}
	if n.MaxTTL, err = body.Duration("explicit_max_ttl"); err != nil {
		return nil, err
	}
	if body.Has("renewable") {
		if n.Renewable, err = body.Bool("renewable"); err != nil {
			return nil, err
		}
	}
	name, err := body.Text("display_name")
	if err != nil {
		return nil, err
	}
	if n.Display = "token"; name != "" {
		n.Display += "-" + name
	}
	if n.Meta, err = body.TextMap("meta"); err != nil {
		return nil, err
	}
	asked, err := body.Texts("policies")
	if err != nil {
		return nil, err
	}
	if n.Permissions, err = narrowed(r.Caller.Permissions, asked); err != nil {
		return nil, err
	}
	a, token, err := s.Directory.CreateChild(r.Context(), r.Caller, n)
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{Auth: s.AuthBody(a, token), Warnings: body.Ignored("ttl", "explicit_max_ttl", "renewable",
		"display_name", "meta", "policies", "num_uses", "no_parent", "no_default_policy", "type", "period", "id",
		"entity_alias")}, nil
}

// refuseUnknown refuses what would make the token another than was asked for, if it were left out.
func refuseUnknown(body dialect.Body) error {
	if n, err := body.Int("num_uses"); err != nil || n != 0 {
		return dialect.Refuse("num_uses is not known here: a token can be used until it ends")
	}
	if orphan, err := body.Bool("no_parent"); err != nil || orphan {
		return &dialect.Error{Status: http.StatusForbidden,
			Errors: []string{"root or sudo privileges required to create orphan token: a token made here ends with " +
				"the one that made it"}}
	}
	if kind, err := body.Text("type"); err != nil || kind != "" && kind != "service" {
		return dialect.Refuse("the type of a token can only be service")
	}
	for _, name := range []string{"period", "id", "entity_alias"} {
		if text, err := body.Text(name); err != nil || text != "" && text != "0" && text != "0s" {
			return dialect.Refuse(name + " is not known here")
		}
	}
	return nil
}

// narrowed are the permissions that are asked for by their names, as a look-up of the token gives
// them; all where none is.
func narrowed(have []access.Permission, asked []string) ([]access.Permission, error) {
	all := true
	var chosen []access.Permission
	for _, name := range asked {
		if name == "default" || name == "" {
			continue
		}
		all = false
		found := false
		for _, p := range have {
			if p.Resource.Type == access.Secrets && policy(p) == strings.TrimSpace(name) {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, dialect.Refuse("child policies must be subset of parent: this token has no such policy " +
				"(auth/token/lookup-self names those it has)")
		}
	}
	if !all {
		return chosen, nil
	}
	for _, p := range have {
		if p.Resource.Type == access.Secrets || p.Resource.Type == access.Instance {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, dialect.NotAllowed(nil)
	}
	return chosen, nil
}
