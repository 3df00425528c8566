package visit

import (
	"context"
	"errors"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/ui/words"
)

// Answer is what a handler wants shown: a page, or where to go instead.
type Answer struct {
	Page   string // a template's name
	Title  string
	Data   any
	Wide   bool   // the page takes the whole width of the window
	Status int    // 200 where 0
	GoTo   string // a path to redirect to instead
	Note   string // what the page redirected to says first
	Undo   *Undo  // what it offers to undo with it
	File   *File  // to be kept, instead of a page
	JSON   []byte // data for a script, instead of a page; browsers keep them and ask whether they are still so
}

// File is what a browser saves.
type File struct {
	Name, Type string // plain ASCII without quotation marks
	Body       []byte
}

// Undo is a deletion in the organisation that can be undone. One of the three is set.
type Undo struct {
	// Secrets that the reader has deleted in a time, in milliseconds of the Unix clock of the store.
	From, To int64 `json:",omitzero"`
	// A member who was removed, and what they were.
	Member id.ID  `json:",omitzero"`
	Role   string `json:",omitzero"`
	// A token that was revoked.
	Token id.ID `json:",omitzero"`
}

// Refusal is what a reader is told of an error: what is so, what to do about it, and where a link leads to. Path and
// Link are empty together.
type Refusal struct {
	Text, Advice string // sentences
	Path, Link   string
}

// Again shows the form's page once more with why it was refused; or that alone, where the page cannot be made.
func Again(why error) func(Answer, error) (Answer, error) {
	return func(a Answer, err error) (Answer, error) {
		if err != nil {
			return Answer{}, why
		}
		return a, why
	}
}

// LeftHere says of what a request did not get to that it is still there, and why.
func LeftHere(left int, why error) string {
	here := words.Number(left) + " are still here"
	if left == 1 {
		here = "One is still here"
	}
	if why == nil || errors.Is(why, context.DeadlineExceeded) || errors.Is(why, context.Canceled) {
		return here + ": there was no time for more in one request. Repeat it."
	}
	return here + ": " + words.Sentence(errs.Message(why))
}

// Confirm is the page before a deletion: what will go, and whether it can come back.
type Confirm struct {
	Question string
	Goes     []string // each a line
	More     int      // lines that are not shown
	Back     string   // whether it can be restored
	Action   string   // where the form goes
	Button   string
	Cancel   string
	Type     string // a name to be typed before the form is taken
	Keys     string // the names that it is about, as JSON
}

// ErrMayNot refuses what only others may do, where no service has been asked yet.
var ErrMayNot = errs.New(errs.Unauthorized, "that is unauthorized")

// Ask shows the question.
func Ask(c Confirm) Answer {
	return Answer{Page: "confirm.html", Title: c.Question, Data: c}
}
