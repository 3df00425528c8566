package terminal

import "strings"

// ShellQuote is a text as one word of a shell, whatever is in it.
func ShellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
