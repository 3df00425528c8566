// Package exit has the exit codes of the CLI, by which scripts tell its failures apart.
package exit

import (
	"context"
	"errors"
	"net/http"

	"strongroom/client"
)

// Code is what the process ends with.
type Code int

// The codes. Failure is what none of the others is.
const (
	OK          Code = 0
	Failure     Code = 1
	Usage       Code = 2
	NotFound    Code = 3
	Denied      Code = 4
	Unreachable Code = 5
	Conflict    Code = 6
	Interrupted Code = 130
)

// Codes is the table of them, for the reference page. Word stands for the code in an error that is printed as JSON,
// where the server has given no word of its own.
var Codes = []struct {
	Code    Code
	Word    string
	Meaning string
}{
	{OK, "", "Done."},
	{Failure, "failed", "Anything that has no code of its own."},
	{Usage, "invalid", "The command line, a variable or a value is not valid. Nothing was changed."},
	{NotFound, "not found", "What the command is about is not there."},
	{Denied, "unauthorized", "The server does not know the token or the password, or it may not do this."},
	{
		Unreachable,
		"unavailable",
		"The server cannot be reached, did not answer in time, or cannot serve now. What was asked for may " +
			"have happened.",
	},
	{Conflict, "conflict", "It exists already, or somebody else has changed it meanwhile. Nothing was changed."},
	{Interrupted, "interrupted", "Ctrl-C or SIGTERM ended the command."},
}

// Word is the word of a code.
func (c Code) Word() string {
	for _, row := range Codes {
		if row.Code == c {
			return row.Word
		}
	}
	return Codes[1].Word
}

type coded struct {
	error
	code Code
}

func (c coded) Unwrap() error { return c.error }

// With gives the error a code.
func With(code Code, err error) error { return coded{err, code} }

// Passed is the end of a program that the command ran in its place: the code is the program's, which has said
// itself what there is to say.
func Passed(code int) error { return coded{errPassed, Code(code)} }

var errPassed = errors.New("the program that was run has failed")

// IsPassed says whether the error is one of Passed, about which nothing is printed.
func IsPassed(err error) bool { return errors.Is(err, errPassed) }

// Of is the code of an error: the one that With gave it, or else what the client or the context say.
func Of(err error) Code {
	var own coded
	var refused *client.Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &refused):
		return ofServer(refused)
	case errors.Is(err, client.ErrUnreachable):
		return Unreachable
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Failure
}

// ofServer goes by the code of the API's form first: InfluxDB answers 422 to a name that is taken.
func ofServer(refused *client.Error) Code {
	switch refused.Code {
	case client.CodeNotFound:
		return NotFound
	case client.CodeConflict, client.CodePreconditionFailed:
		return Conflict
	case client.CodeInvalid, "unprocessable entity", "empty value", "request too large":
		return Usage
	}
	switch refused.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Denied
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unreachable
	}
	return Failure
}
