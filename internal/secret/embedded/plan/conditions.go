package plan

import (
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// allowed says whether the condition of setting a secret holds.
func (p *Plan) allowed(name string, only secret.Condition) error {
	at, err := p.At(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	return only.Allows(name, current.Sealed != nil)
}

// built says whether a secret holds what the change builds on.
func (p *Plan) built(name string, change secret.Change) error {
	at, err := p.At(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	if current.Sealed == nil {
		return change.Built(name, nil, false)
	}
	value, _, err := p.From.OpenValue(p.ctx, p.Org, current)
	if err != nil {
		return err
	}
	return change.Built(name, &value, true)
}

// version is the one that a secret is at, 0 where there is nothing of it.
func (p *Plan) version(name string) (int, error) {
	if !content.Fits(name) {
		return 0, nil
	}
	_, m, _, err := p.look(name)
	if err != nil || m == nil {
		return 0, err
	}
	return m.Newest().N, nil
}
