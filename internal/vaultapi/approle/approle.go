// Package approle lets programs log in with a role's ID and a secret ID of it, and those who may make
// tokens manage the roles.
package approle

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/identity/rolelogin"
	"strongroom/internal/vaultapi/dialect"
)

// Config is what the handlers need; all of it must be set.
type Config struct {
	Directory *directory.Service
	Guard     *access.Guard
	Strangers *rate.Limiter // of refusals that go on record
	// AuthBody is what clients take a token from.
	AuthBody func(a identity.Authorization, token string) map[string]any
	// Permission finds a permission by the name that a policy has.
	Permission func(name string) (access.Permission, error)
	Policies   func([]access.Permission) []string
}

// Handlers are the paths below auth/approle/, and unwrapping.
type Handlers struct{ Config }

// New makes the handlers.
func New(c Config) *Handlers { return &Handlers{c} }

// Login gives a token for a role's ID and a secret ID.
func (h *Handlers) Login(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	roleID, err := body.Text("role_id")
	if err != nil {
		return nil, err
	}
	secretID, err := body.Text("secret_id")
	if err != nil {
		return nil, err
	}
	act := access.Act{Action: "signin", Target: "auth/approle/" + errs.Clip(roleID)}
	a, token, who, err := h.Directory.LogIn(r.Context(), r.Address(), roleID, secretID)
	who.RequestID = r.ID
	if err != nil {
		if (errs.Is(err, errs.Invalid) || errs.Is(err, errs.Unauthorized)) && h.Strangers.Allow() {
			return nil, h.Guard.Deny(r.Context(), who, act, err)
		}
		return nil, err
	}
	act.Org = a.OrgID
	if err := h.Guard.Allow(r.Context(), who, act); err != nil {
		return nil, err
	}
	return &dialect.Answer{Auth: h.AuthBody(a, token)}, nil
}

// Unwrap gives what was wrapped, once: to whoever brings its token, as the request's own or in the body.
func (h *Handlers) Unwrap(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	token, err := wrappingToken(r, body)
	if err != nil {
		return nil, err
	}
	data, err := h.Directory.Unwrap(r.Context(), token)
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{Data: data}, nil
}

// LookUpWrapped tells where something wrapped is from, to whoever brings its token: so that they see before they unwrap
// it that nobody else has, and that it is what they wait for.
func (h *Handlers) LookUpWrapped(r *dialect.Request) (*dialect.Answer, error) {
	var body dialect.Body
	var err error
	switch r.Op {
	case dialect.Read:
	case dialect.Write:
		body, err = r.ReadBody()
	default:
		err = dialect.Unsupported()
	}
	if err != nil {
		return nil, err
	}
	token, err := wrappingToken(r, body)
	if err != nil {
		return nil, err
	}
	w, err := h.Directory.LookUpWrapped(r.Context(), token)
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{Data: map[string]any{"creation_path": w.Path, "creation_time": w.CreatedAt,
		"creation_ttl": seconds(w.TTL)}}, nil
}

// wrappingToken is the one in the body, or else the request's own.
func wrappingToken(r *dialect.Request, body dialect.Body) (string, error) {
	token, err := body.Text("token")
	if token == "" {
		token = r.Token
	}
	return token, err
}

// Role serves role, role/<name> and what is below it.
func (h *Handlers) Role(r *dialect.Request) (*dialect.Answer, error) {
	below := strings.Trim(strings.TrimPrefix(r.Path, "auth/approle/role"), "/")
	name, what, _ := strings.Cut(below, "/")
	switch {
	case name == "" && r.Op == dialect.List:
		return h.list(r)
	case what == "" && name != "":
		switch r.Op {
		case dialect.Read:
			return h.read(r, name)
		case dialect.Write:
			return nil, h.set(r, name)
		case dialect.Delete:
			return nil, h.Directory.DeleteRole(r.Context(), r.Caller, name)
		}
	case what == "role-id" && r.Op == dialect.Read:
		role, err := h.Directory.RoleNamed(r.Context(), r.Caller, name)
		if err != nil {
			return nil, err
		}
		return &dialect.Answer{Data: map[string]any{"role_id": role.ID.String()}}, nil
	case what == "secret-id" && r.Op == dialect.Write:
		return h.makeSecretID(r, name)
	case what == "secret-id" && r.Op == dialect.List:
		return h.listSecretIDs(r, name)
	case what == "secret-id-accessor/destroy" && r.Op == dialect.Write:
		return nil, h.destroy(r, name)
	}
	return nil, dialect.Unsupported()
}

func (h *Handlers) list(r *dialect.Request) (*dialect.Answer, error) {
	roles, err := h.Directory.Roles(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	if len(roles) == 0 {
		return nil, dialect.NotFound()
	}
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = role.Name
	}
	return &dialect.Answer{Data: map[string]any{"keys": names}}, nil
}

func (h *Handlers) read(r *dialect.Request, name string) (*dialect.Answer, error) {
	role, err := h.Directory.RoleNamed(r.Context(), r.Caller, name)
	if err != nil {
		return nil, err
	}
	policies := slices.DeleteFunc(h.Policies(role.Permissions), func(p string) bool { return p == "default" })
	return &dialect.Answer{Data: map[string]any{
		"bind_secret_id": true, "token_policies": policies, "token_ttl": seconds(role.TTL),
		"token_max_ttl": seconds(role.MaxTTL), "secret_id_num_uses": role.SecretIDUses,
		"secret_id_ttl": seconds(role.SecretIDTTL), "secret_id_bound_cidrs": role.SecretIDFrom, "token_type": "service",
		"token_num_uses": 0, "token_period": 0,
	}}, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// set makes a role, or changes what is named of one.
func (h *Handlers) set(r *dialect.Request, name string) error {
	body, err := r.ReadBody()
	if err != nil {
		return err
	}
	if others := body.Ignored("token_policies", "policies", "token_ttl", "token_max_ttl", "secret_id_num_uses",
		"secret_id_ttl", "secret_id_bound_cidrs", "bind_secret_id"); others != nil {
		return dialect.Refuse("a role here has token_policies, token_ttl, token_max_ttl, secret_id_num_uses, " +
			"secret_id_ttl and secret_id_bound_cidrs: " + others[0])
	}
	if body.Has("bind_secret_id") {
		if bind, err := body.Bool("bind_secret_id"); err != nil || !bind {
			return dialect.Refuse("bind_secret_id must be true: nobody logs in without a secret ID")
		}
	}
	role, err := h.Directory.RoleNamed(r.Context(), r.Caller, name)
	if err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Unauthorized) {
		return err
	}
	role.Name = name
	names, err := body.Texts("token_policies")
	if err == nil && names == nil {
		names, err = body.Texts("policies")
	}
	if err != nil {
		return err
	}
	if names != nil {
		role.Permissions = nil
	}
	for _, n := range names {
		if n = strings.TrimSpace(n); n == "default" || n == "" {
			continue
		}
		p, err := h.Permission(n)
		if err != nil {
			return err
		}
		role.Permissions = append(role.Permissions, p)
	}
	for field, d := range map[string]*time.Duration{"token_ttl": &role.TTL, "token_max_ttl": &role.MaxTTL,
		"secret_id_ttl": &role.SecretIDTTL} {
		if body.Has(field) {
			if *d, err = body.Duration(field); err != nil {
				return err
			}
		}
	}
	if body.Has("secret_id_num_uses") {
		if role.SecretIDUses, err = body.Int("secret_id_num_uses"); err != nil {
			return err
		}
	}
	if body.Has("secret_id_bound_cidrs") {
		if role.SecretIDFrom, err = body.Texts("secret_id_bound_cidrs"); err != nil {
			return err
		}
	}
	_, err = h.Directory.SetRole(r.Context(), r.Caller, role)
	return err
}

func (h *Handlers) makeSecretID(r *dialect.Request, name string) (*dialect.Answer, error) {
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	var wrap time.Duration
	if text := r.Header.Get("X-Vault-Wrap-TTL"); text != "" {
		if wrap, err = dialect.ParseDuration(text); err != nil || wrap <= 0 {
			return nil, dialect.Refuse("error parsing X-Vault-Wrap-TTL header: it must be a time such as 120 or 5m")
		}
	}
	n := rolelogin.NewSecretID{}
	if n.Uses, err = body.Int("num_uses"); err != nil {
		return nil, err
	}
	if n.TTL, err = body.Duration("ttl"); err != nil {
		return nil, err
	}
	if n.From, err = body.Texts("cidr_list"); err != nil {
		return nil, err
	}
	kept, secretID, err := h.Directory.MakeSecretID(r.Context(), r.Caller, name, n)
	if err != nil {
		return nil, err
	}
	ttl := int64(0)
	if !kept.ExpiresAt.IsZero() {
		ttl = seconds(kept.ExpiresAt.Sub(kept.CreatedAt))
	}
	data := map[string]any{"secret_id": secretID, "secret_id_accessor": kept.ID.String(),
		"secret_id_num_uses": kept.Uses, "secret_id_ttl": ttl}
	if wrap == 0 {
		return &dialect.Answer{Data: data}, nil
	}
	token, err := h.Directory.Wrap(r.Context(), r.Path, data, wrap)
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{WrapInfo: map[string]any{"token": token, "accessor": kept.ID.String(), "ttl": seconds(wrap),
		"creation_time": time.Now().UTC(), "creation_path": r.Path, "wrapped_accessor": kept.ID.String()}}, nil
}

func (h *Handlers) listSecretIDs(r *dialect.Request, name string) (*dialect.Answer, error) {
	all, err := h.Directory.SecretIDs(r.Context(), r.Caller, name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, dialect.NotFound()
	}
	keys := make([]string, len(all))
	for i, k := range all {
		keys[i] = k.ID.String()
	}
	slices.Sort(keys)
	return &dialect.Answer{Data: map[string]any{"keys": keys}}, nil
}

func (h *Handlers) destroy(r *dialect.Request, name string) error {
	body, err := r.ReadBody()
	if err != nil {
		return err
	}
	accessor, err := body.Text("secret_id_accessor")
	if err != nil {
		return err
	}
	which, err := id.Parse(accessor)
	if err != nil {
		return &dialect.Error{Status: http.StatusBadRequest,
			Errors: []string{fmt.Sprintf("%q is no accessor of a secret ID", errs.Clip(accessor))}}
	}
	return h.Directory.DestroySecretID(r.Context(), r.Caller, name, which)
}
