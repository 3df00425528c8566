package embedded

import (
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// allowed says whether the condition of setting a secret holds.
func (p *plan) allowed(name string, only secret.Condition) error {
	at, err := p.at(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	return only.Allows(name, current.sealed != nil)
}

// built says whether a secret holds what the change builds on.
func (p *plan) built(name string, change secret.Change) error {
	at, err := p.at(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	if current.sealed == nil {
		return change.Built(name, nil, false)
	}
	value, _, err := p.s.openValue(p.ctx, p.org, current)
	if err != nil {
		return err
	}
	return change.Built(name, &value, true)
}

// version is the one that a secret is at, 0 where there is nothing of it.
func (p *plan) version(name string) (int, error) {
	if !fits(name) {
		return 0, nil
	}
	_, m, _, err := p.look(name)
	if err != nil || m == nil {
		return 0, err
	}
	return m.newest().N, nil
}
