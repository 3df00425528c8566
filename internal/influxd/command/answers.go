package command

import (
	"bytes"
	"context"
	"sync"
)

// Answers are passphrases that were asked for, by the file that they are for. Forget wipes them.
type Answers struct {
	mu  sync.Mutex
	all map[string][]byte
}

// Once gives a question that is put once for the file. One for a new passphrase is put each time.
func (a *Answers) Once(file string, ask func(context.Context, bool) ([]byte, error)) func(context.Context,
	bool) ([]byte, error) {
	return func(ctx context.Context, fresh bool) ([]byte, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if known, ok := a.all[file]; ok && !fresh {
			return bytes.Clone(known), nil
		}
		answer, err := ask(ctx, fresh)
		if err != nil || fresh {
			return answer, err
		}
		if a.all == nil {
			a.all = make(map[string][]byte)
		}
		a.all[file] = bytes.Clone(answer)
		return answer, nil
	}
}

// Forget wipes all.
func (a *Answers) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for file, answer := range a.all {
		clear(answer)
		delete(a.all, file)
	}
}
