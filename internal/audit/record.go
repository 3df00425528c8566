package audit

import (
	"net/url"
	"strconv"
	"time"

	"strongroom/internal/errs"
)

// The actions that the log itself puts on record.
const (
	ActionOpen   = "audit.open"   // the server started
	ActionReopen = "audit.reopen" // a file was put aside, the next one begins
	ActionClose  = "audit.close"  // the server ended in order
	ActionCheck  = "audit.check"  // no sink took a line, and they were tried again
)

// Record is an entry as it stands in the log.
type Record struct {
	// Seq counts the lines of the log from 1, over restarts and rotated files.
	Seq uint64 `json:"seq"`
	Entry
	// Server is the name of the server whose log it is, where there are several. Each has a log of its own.
	Server string `json:"server,omitempty"`
	// Part numbers the lines of a change with so many keys that it takes several: 2 on the second.
	// Query puts them together.
	Part int `json:"part,omitempty"`
	// MayInclude is set by a query for a key, where the record is of a list or a use of so many that it may
	// be among those left out.
	MayInclude bool `json:"mayInclude,omitempty"`

	// Previous is the hash of the line before, on the lines that begin a run of the server or a file.
	Previous string `json:"previous,omitempty"`
	// Torn is the number of bytes before this line that a crash left of an unfinished one.
	Torn int64 `json:"torn,omitempty"`
	// Hash chains the line to the one before.
	Hash string `json:"hash"`
}

// fixedSize is about what a record takes without its keys and texts, in bytes.
const fixedSize = 512

// Size is about how many bytes of memory the record takes.
func (r *Record) Size() int {
	n := fixedSize + len(r.Detail) + len(r.Target)
	for _, k := range r.Keys {
		n += len(k) + 16
	}
	return n
}

// The sizes of a page of records.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	// RecordSize is how many bytes each record of a page may have on average. Where those that come have more, the page
	// is shorter.
	RecordSize = 8 << 10
)

// Filter chooses records. A zero field chooses all.
type Filter struct {
	OrgID string // 16 hexadecimal characters
	// Key is the whole name of a secret. A list or a use that had to leave names out is chosen too (Record.MayInclude).
	Key string
	// Prefix is what the name of a secret begins with, where Key is empty; otherwise as Key.
	Prefix string
	Actor  string // a user's name, a user's ID or an authorization's ID
	// Action is one action ("secrets.apply") or a group of them ("secrets").
	Action  string
	Outcome Outcome
	// Changes leaves out the acts that have taken place and changed nothing: lists, looks, uses.
	Changes bool

	Since time.Time // at or after
	Until time.Time // before

	Before uint64 // records whose Seq is smaller: Page.Next of the page before
	Limit  int    // records a page, DefaultLimit where it is 0, at most MaxLimit
}

// Page is a part of the answer to a query, newest first.
type Page struct {
	Records []Record
	// Next is the Before of the next page, 0 at the end. A page may be shorter than the limit, even empty, and still
	// have a next one: the work on one page is bounded, and its size.
	Next uint64
}

// Acts are a page of the acts of one server or of several, newest first.
type Acts struct {
	Records []Record
	Next    string // where the next page begins, "" at the end
	// Missing are the servers whose acts are not among the records.
	Missing []Absent
}

// Absent is a server whose acts could not be had, and why.
type Absent struct {
	Server  string `json:"server"`
	Message string `json:"message"`
}

// Before is where a page begins: what Next of the page before says. The first page begins at the zero value.
type Before struct {
	Seq     uint64            // Filter.Before, of one server
	Servers map[string]uint64 // the same, by the names of several
}

// ErrBefore is a place to begin at that no page has given.
var ErrBefore = errs.New(errs.Invalid, "before must be what the page before gave")

// ParseBefore reads what Next was.
func ParseBefore(next string) (b Before, err error) {
	if next == "" {
		return b, nil
	}
	if b.Seq, err = strconv.ParseUint(next, 10, 64); err == nil {
		return b, nil
	}
	values, err := url.ParseQuery(next)
	if err != nil {
		return b, ErrBefore
	}
	b.Servers = make(map[string]uint64, len(values))
	for name, v := range values {
		n, err := strconv.ParseUint(v[0], 10, 64)
		if err != nil || n == 0 {
			return b, ErrBefore
		}
		b.Servers[name] = n
	}
	return b, nil
}

// String is what ParseBefore reads.
func (b Before) String() string {
	if b.Servers == nil {
		return strconv.FormatUint(b.Seq, 10)
	}
	values := url.Values{}
	for name, n := range b.Servers {
		values.Set(name, strconv.FormatUint(n, 10))
	}
	return values.Encode()
}
