package ui

import (
	"fmt"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/sealing"
	"strongroom/internal/secret"
	"strongroom/internal/ui/hour"
)

type storeView struct {
	Name, What string
	Healthy    bool
	Reason     string
	Checked    time.Time
	Hour       hour.Summary
	Details    []detail        // what the store tells of itself
	Seal       *sealing.Status // nil where it is not shown
	SealName   string
	Rotating   bool
}

// storeNames say which store is which.
var storeNames = map[string][2]string{
	"bolt":  {"Embedded store", "Values are sealed with AES-256-GCM in the server’s own file."},
	"vault": {"Vault", "Values are in Vault’s KV version 2 engine; this server keeps none of them."},
}

// detail is a secret.Detail in words.
type detail struct {
	secret.Detail
	Called string
}

// detailNames say what a detail is about.
var detailNames = map[string]string{"vault-token": "Vault’s token"}

// sealNames say how the root key is kept.
var sealNames = map[string]string{
	"key-file": "a key file", "passphrase": "a passphrase", "transit": "Vault’s transit engine",
}

func (u *UI) storePage(v *visit) (answer, error) {
	p := storeView{Name: u.StoreName, Healthy: true}
	if n, ok := storeNames[u.StoreName]; ok {
		p.Name, p.What = n[0], n[1]
	}
	var err error
	if p.Checked, err = u.hour.State(v.Context()); err != nil {
		p.Healthy, p.Reason = false, errs.Message(err)
	}
	for _, d := range secret.Details(u.Store) {
		called, ok := detailNames[d.Name]
		if !ok {
			called = d.Name
		}
		p.Details = append(p.Details, detail{d, called})
	}
	p.Hour = u.hour.Summary()
	if u.Seals != nil && v.operator() {
		s, err := u.Seals.Status(v.Context(), v.caller)
		if err != nil {
			return answer{}, err
		}
		p.Seal, p.SealName, p.Rotating = &s, s.Seal.Type, s.Rotation.State != sealing.Idle
		if n, ok := sealNames[s.Seal.Type]; ok {
			p.SealName = n
		}
	}
	return answer{page: "store.html", title: "Store", data: p}, nil
}

// rotate begins a new term of the data keys. It takes nothing away: what older terms sealed can be opened until all is
// sealed anew, so nobody is asked twice.
func (u *UI) rotate(v *visit) (answer, error) {
	if u.Seals == nil {
		return answer{}, errs.New(errs.NotFound, "there is no such page")
	}
	s, err := u.Seals.Rotate(v.Context(), v.caller)
	if err != nil {
		return again(err)(u.storePage(v))
	}
	return answer{goTo: "/store", note: fmt.Sprintf("Term %d has begun. What older terms sealed is sealed anew in the background.", s.Term)}, nil
}
