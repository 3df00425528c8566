package tokens

import (
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// sent remembers which forms made which token, so that one that is sent twice, by a double click without JavaScript or
// by a reload, does not make a second. It is in memory: beyond its room, and on another server, a form counts as new.
type sent struct {
	mu   sync.Mutex
	made *bounded.Map[form, id.ID] // 0 while it is made
}

type form struct {
	org  id.ID
	once string
}

const (
	formsKept = 4096
	longest   = 64 // of what the page puts into a form
)

func newSent() *sent { return &sent{made: bounded.New[form, id.ID](formsKept, nil)} }

// make makes a token, unless the form has made one, or is making it. A form without the field, of a script, always
// does.
func (s *sent) make(f form, authorize func() (id.ID, error)) error {
	if f.once == "" || len(f.once) > longest {
		_, err := authorize()
		return err
	}
	s.mu.Lock()
	made, again := s.made.Get(f)
	if !again {
		s.made.Put(f, 0, 1)
	}
	s.mu.Unlock()
	switch {
	case made != 0:
		return errs.New(errs.Conflict, "this form was sent before, and made the token with the ID %s: no second one "+
			"was made. It was shown once; where you have not seen it, revoke it, and open “Create a token” anew", made)
	case again:
		return errs.New(errs.Conflict, "this form is being sent already: no second token was made. Look at the list "+
			"of tokens before you send it again")
	}
	var err error
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if made == 0 {
			s.made.Drop(f) // it failed, and may be sent again
		} else {
			s.made.Put(f, made, 1)
		}
	}()
	made, err = authorize()
	return err
}
