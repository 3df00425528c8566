package secret

import "time"

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
	Versions  []Version // oldest first
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
