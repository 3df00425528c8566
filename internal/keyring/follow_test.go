package keyring

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
)

// TestSharedByTwoServers has two keyrings over one engine. One that is behind the other's rotation writes nothing that
// cannot be opened, and follows.
func TestSharedByTwoServers(t *testing.T) {
	key, cluster := newKeyFile(t), clustertest.New()
	db := cluster.Server()
	open := func() *Keyring {
		k, err := OpenOrInit(t.Context(), cluster.Server(), Config{Seal: key, Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		return k
	}
	first, second := open(), open()
	to := Belongs{Kind: "test", Key: "k"}
	write := func(k *Keyring) error {
		fence := k.Fence()
		sealed, err := k.Seal(0, to, []byte("v"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Txn(t.Context(), fence, []kv.Op{kv.Put("k", sealed)})
		if errors.Is(err, kv.ErrConflict) {
			if again, err := k.Refused(t.Context(), fence); err != nil || !again {
				t.Errorf("the reason of the refusal was the fence: %v, %v", again, err)
			}
		}
		return err
	}
	if err := write(second); err != nil {
		t.Fatal(err)
	}
	term, err := first.Rotate(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Retire(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	if err := write(second); !errors.Is(err, kv.ErrConflict) {
		t.Fatalf("a server that is behind wrote under a term that is gone: %v", err)
	}
	if err := write(second); err != nil {
		t.Fatalf("once it has read the keyring anew: %v", err)
	}
	rec, err := db.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Open(0, to, rec.Value); err != nil {
		t.Errorf("what it wrote: %v", err)
	}
	// Another reason than the fence is told apart.
	fence := second.Fence()
	if again, err := second.Refused(t.Context(), fence); again || err != nil {
		t.Errorf("a refusal for another reason: %v, %v", again, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		second.Follow(ctx, func(err error) { t.Error(err) })
	}()
	term, err = first.Rotate(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for second.Term() != term {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}
