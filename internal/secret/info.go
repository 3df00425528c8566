package secret

import (
	"errors"
	"fmt"
	"time"
)

// KeepDeleted is how long a deleted secret can be brought back.
const KeepDeleted = 7 * 24 * time.Hour

// MaxDescription is the length of the longest description in bytes.
const MaxDescription = 1024

// Info is what is known of a secret, its value excepted. A zero time is none.
type Info struct {
	Key     string
	Version int // of the current value, or of the last one of a deleted secret
	Created time.Time
	Updated time.Time
	Used    time.Time // last given out to be used, to about a minute; the service fills it in
	By      string    // who set the current value; "" where that is not known
	Description
	Deleted   time.Time
	DeletedBy string
	Earlier   int       // of how many versions before the newest the value is kept; 0 where the store does not say
	Versions  []Version // oldest first
}

// Unread is the error of a list of what is known of secrets from which some are missing, since their records do not
// open. What is known of the others is given with it.
type Unread struct {
	Keys []string
	Errs []error // of each of them, which say it to the caller
}

// Apart tells what is Unread from any other error.
func Apart(err error) (*Unread, error) {
	var u *Unread
	if errors.As(err, &u) {
		return u, nil
	}
	return nil, err
}

// Len is how many there are.
func (u *Unread) Len() int {
	if u == nil {
		return 0
	}
	return len(u.Keys)
}

// Error names the first.
func (u *Unread) Error() string {
	if len(u.Errs) == 1 {
		return u.Errs[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", u.Errs[0], len(u.Errs)-1)
}

// Unwrap gives the errors of all.
func (u *Unread) Unwrap() []error { return u.Errs }

// Add adds a secret and why it cannot be read. It makes one where there is none yet.
func (u *Unread) Add(key string, err error) *Unread {
	if u == nil {
		u = new(Unread)
	}
	u.Keys, u.Errs = append(u.Keys, key), append(u.Errs, err)
	return u
}

// Join adds those of another.
func (u *Unread) Join(other *Unread) *Unread {
	if other == nil {
		return u
	}
	for i, key := range other.Keys {
		u = u.Add(key, other.Errs[i])
	}
	return u
}

// Or is the error where there is no other, nil where nothing was added.
func (u *Unread) Or(other error) error {
	if u == nil || other != nil {
		return other
	}
	return u
}

// Description is what people note of a secret.
type Description struct {
	Text    string
	Expires time.Time // when the value should have been replaced; nothing happens then by itself
}

// Version is one value that a secret had.
type Version struct {
	Number int
	At     time.Time
	By     string
	// Restorable says that its value is still kept, Deleted that it is and is not given out, and Destroyed that it was
	// removed on purpose. Deleted is zero for the present version of a deleted secret, of which Info.Deleted tells.
	Restorable bool
	Deleted    time.Time
	Destroyed  bool
}
