package system

import (
	"fmt"
	"net/http"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/vaultapi/dialect"
)

// described is what there is to say of a mount.
func described(kind, accessor, description string, options map[string]string) map[string]any {
	return map[string]any{
		"accessor": accessor, "config": map[string]any{"default_lease_ttl": 0, "force_no_cache": false,
			"max_lease_ttl": 0},
		"deprecation_status": "supported", "description": description, "external_entropy_access": false, "local": false,
		"options": options, "plugin_version": "", "running_plugin_version": "", "running_sha256": "",
		"seal_wrap": false, "type": kind, "uuid": "",
	}
}

// kv is the one mount. Clients take the version for a text, and fail where it is a number.
func (s *System) kv() map[string]any {
	return described("kv", "kv_strongroom", "secrets of organizations", map[string]string{"version": "2"})
}

func methods() map[string]any {
	return map[string]any{
		"approle/": described("approle", "auth_approle_strongroom", "", nil),
		"token/":   described("token", "auth_token_strongroom", "token based credentials", nil),
	}
}

// only allows reading to those who may do anything with secrets.
func (s *System) only(r *dialect.Request) error {
	if r.Op != dialect.Read {
		return dialect.Unsupported()
	}
	if !mayAny(r.Caller) {
		return dialect.NotAllowed(nil)
	}
	return nil
}

// Mounts lists the one mount.
func (s *System) Mounts(r *dialect.Request) (*dialect.Answer, error) {
	if err := s.only(r); err != nil {
		return nil, err
	}
	all := map[string]any{s.Mount + "/": s.kv()}
	return &dialect.Answer{Data: all, Top: all}, nil
}

// OneMount tells of the one mount, or of its tuning.
func (s *System) OneMount(r *dialect.Request) (*dialect.Answer, error) {
	if err := s.only(r); err != nil {
		return nil, err
	}
	switch strings.TrimSuffix(strings.TrimPrefix(r.Path, "sys/mounts/"), "/") {
	case s.Mount:
		m := s.kv()
		return &dialect.Answer{Data: m, Top: m}, nil
	case s.Mount + "/tune":
		m := map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false, "description": "",
			"options": map[string]string{"version": "2"}}
		return &dialect.Answer{Data: m, Top: m}, nil
	}
	return nil, &dialect.Error{Status: http.StatusBadRequest, Errors: []string{"No secret engine mount at that path"}}
}

// AuthMethods lists the ways to log in.
func (s *System) AuthMethods(r *dialect.Request) (*dialect.Answer, error) {
	if err := s.only(r); err != nil {
		return nil, err
	}
	all := methods()
	return &dialect.Answer{Data: all, Top: all}, nil
}

// UIMounts lists what the caller may do anything with: nothing where nobody is known.
func (s *System) UIMounts(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.Unsupported()
	}
	auth, secrets := map[string]any{}, map[string]any{}
	if r.Caller != nil {
		auth = methods()
	}
	if mayAny(r.Caller) {
		secrets[s.Mount+"/"] = s.kv()
	}
	return &dialect.Answer{Data: map[string]any{"auth": auth, "secret": secrets}}, nil
}

// UIMount is the question that clients ask first: in which mount a path is, and of which version that is. What is not
// to be seen is refused and never not found, which they would take for version 1.
func (s *System) UIMount(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.Unsupported()
	}
	path := strings.TrimSuffix(strings.TrimPrefix(r.Path, "sys/internal/ui/mounts/"), "/") + "/"
	if !mayAny(r.Caller) || !strings.HasPrefix(path, s.Mount+"/") {
		return nil, &dialect.Error{Status: http.StatusForbidden, Errors: []string{fmt.Sprintf(
			"preflight capability check returned 403, please ensure client's policies grant access to path %q",
			errs.Clip(path))}}
	}
	m := s.kv()
	m["path"] = s.Mount + "/"
	return &dialect.Answer{Data: m}, nil
}
