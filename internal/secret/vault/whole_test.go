package vault

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestNeverHalf has a reader who always comes as a change of two secrets is half carried out, and whose question for its
// journal is answered when it is over and the next is half carried out: however often that is, he sees no change by half.
func TestNeverHalf(t *testing.T) {
	v := vaulttest.Shared(t)
	p := Place{Mount: v.MountKV(t), Layout: kv2.LayoutSecret}
	fw, fr := newFront(t, v), newFront(t, v)
	writer, _ := open(t, v, Config{Address: fw.URL, Place: p})
	looking := p
	looking.ReadOnly = true // so that it does not help
	reader, _ := open(t, v, Config{Address: fr.URL, Place: looking})
	apply(t, writer, set("a", "0", "b", "0"))

	const changes = 8
	half, rest, over := make(chan bool), make(chan bool), make(chan bool)
	carried := make(chan bool, changes)
	fw.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if isWrite(r) && strings.HasSuffix(r.URL.Path, org.String()+"/b") {
			<-carried
			half <- true
			<-rest
		}
		vault.ServeHTTP(w, r)
		if isWrite(r) && strings.HasSuffix(r.URL.Path, org.String()+"/a") {
			carried <- true
		}
	})
	go func() {
		for n := range changes {
			value := fmt.Sprint(n + 1)
			if _, err := writer.Apply(t.Context(), org, set("a", value, "b", value)); err != nil {
				t.Errorf("change %d: %v", n, err)
			}
			over <- true
		}
		close(half)
	}()
	<-half
	var asked atomic.Int64
	fr.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if strings.Contains(r.URL.Path, "/journal/") && asked.Add(1) <= changes {
			rest <- true
			<-over
			<-half // the next one, or there is none
		}
		vault.ServeHTTP(w, r)
	})
	snap, err := reader.Read(t.Context(), org, secret.Query{Keys: []string{"a", "b"}})
	met := asked.Load()
	for asked.Add(1) <= changes { // where it has ended too soon
		rest <- true
		<-over
		<-half
	}
	if err != nil {
		t.Fatal(err)
	}
	a, b := snap.Secrets["a"].Value, snap.Secrets["b"].Value
	if !a.Equal(b) || met < changes {
		t.Errorf("after %d changes it read %q and %q", met, a.Bytes(), b.Bytes())
	}
}
