package system

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/rotation"
	"strongroom/internal/secret"
	"strongroom/internal/ui/hour"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

type storeView struct {
	Name, What string
	Healthy    bool
	Reason     string
	Next       string // what to do about it
	NoWrites   string // why nothing can be written to the server's own data, though the store can be read
	Checked    time.Time
	Hour       hour.Summary
	Facts      [][2]string      // for operators
	Details    []detail         // what the store tells of itself
	Seal       *rotation.Status // nil where it is not shown
	SealName   string
	Rotating   bool
}

// storeNames say which store is which.
var storeNames = map[string][2]string{
	"bolt":  {"Embedded store", "Values are sealed with AES-256-GCM in the server’s own file."},
	"etcd":  {"Embedded store in etcd", "Values are sealed with AES-256-GCM by the server, before they go to etcd."},
	"vault": {"Vault", "Values are in Vault’s KV version 2 engine; this server keeps none of them."},
}

// whatNext says what an operator does about a store that does not serve.
func whatNext(store, reason string) string {
	switch store {
	case "etcd":
		return "Look with “etcdctl endpoint health” whether most of etcd’s members are healthy; the server’s log " +
			"says what else is wrong. This server goes on by itself as soon as etcd does. Values that are stored " +
			"stay stored."
	case "vault":
	default:
		return "The server’s log says why. Values that are stored stay stored."
	}
	do := "Look with “vault status” whether Vault runs and is unsealed, and with “influxd vault check” what else is " +
		"wrong."
	for _, n := range vaultNext {
		if strings.Contains(reason, n.says) {
			do = n.do
			break
		}
	}
	return do + " This server goes on by itself as soon as Vault does; its log has the details."
}

// writesNext says what an operator does about data that cannot be written to.
func writesNext(store string, err error) string {
	if store == "etcd" {
		return "Look with “etcdctl endpoint health” whether most of etcd’s members are healthy. This server goes on " +
			"by itself as soon as etcd does."
	}
	if errors.Is(err, kv.ErrFull) {
		return "Make room on the server’s disk: saving goes on by itself then."
	}
	return "The server’s log says more."
}

// vaultNext is what to do by what the store says of Vault.
var vaultNext = []struct{ says, do string }{
	{"is sealed", "Run “vault operator unseal” at each of Vault’s servers, as often as it asks for another key."},
	{"is not initialised", "Run “vault operator init”, once, and keep what it prints."},
	{"cannot be reached", "Look whether Vault runs (“vault status”), and whether its address can be reached from " +
		"this server’s machine."},
	{"did not answer in time", "Look with “vault status” and at Vault’s own log what keeps it."},
	{"refused the server's token", "“influxd vault check” says whether the token has ended and what its policies " +
		"lack."},
	{"is not set up", "Enable the engine with “vault secrets enable -version=2 kv” at the mount that this server is " +
		"told of."},
	{"certificates", "“influxd vault check” says which certificate is not taken, and by whom."},
}

// detail is a secret.Detail in words.
type detail struct {
	secret.Detail
	Called string
}

// sealNames say how the root key is kept.
var sealNames = map[string]string{
	"key-file": "a key file", "passphrase": "a passphrase", "transit": "Vault’s transit engine",
}

func (h *handlers) storePage(v *visit.Visit) (visit.Answer, error) {
	store := h.StoreName
	if h.InEtcd && store != "vault" {
		store = "etcd"
	}
	p := storeView{Name: store, Healthy: true}
	if n, ok := storeNames[store]; ok {
		p.Name, p.What = n[0], n[1]
	}
	var err error
	if p.Checked, err = h.Hour.State(v.Context()); err != nil {
		p.Healthy, p.Reason, p.Next = false, strings.TrimSuffix(errs.Message(err), "."), ""
		p.Next = whatNext(store, p.Reason)
	}
	if h.Data != nil {
		if err := h.Data(); err != nil {
			p.NoWrites = "Nothing can be saved at the moment: " + strings.TrimPrefix(err.Error(), "kv: ") +
				". What is stored stays stored. " + writesNext(store, err)
		}
	}
	if !v.Operator() { // who cannot do it is not told how
		p.Next = "An operator of this server is to see to it. Values that are stored stay stored."
	}
	for _, d := range h.Store.About(0).Details {
		p.Details = append(p.Details, detail{d, words.Detail(d.Name)})
	}
	if v.Operator() {
		p.Facts = h.Facts
	}
	p.Hour = h.Hour.Summary()
	if h.Seals != nil && v.Operator() {
		s, err := h.Seals.Status(v.Context(), v.Caller)
		switch {
		case errs.Is(err, errs.Unavailable): // the page is looked at to see why
		case err != nil:
			return visit.Answer{}, err
		default:
			p.Seal, p.SealName = &s, cmp.Or(sealNames[s.Seal.Type], s.Seal.Type)
			p.Rotating = s.Rotation.State != rotation.Idle
		}
	}
	return visit.Answer{Page: "store.html", Title: "Store", Data: p}, nil
}

// rotate begins a new term of the data keys. It takes nothing away: what older terms sealed can be opened until all is
// sealed anew, so nobody is asked twice.
func (h *handlers) rotate(v *visit.Visit) (visit.Answer, error) {
	if h.Seals == nil {
		return visit.Answer{}, errs.New(errs.NotFound, "there is no such page")
	}
	s, err := h.Seals.Rotate(v.Context(), v.Caller)
	if err != nil {
		return visit.Again(err)(h.storePage(v))
	}
	return visit.Answer{GoTo: "/store", Note: fmt.Sprintf("Term %d has begun. What older terms sealed is sealed anew "+
		"in the background.", s.Term)}, nil
}
