package words

import "strings"

// infinitives are those of the verbs that acts begin with.
var infinitives = map[string]string{
	"added": "add", "asked": "ask", "began": "begin", "changed": "change", "created": "create", "deleted": "delete",
	"copied": "copy", "described": "describe", "destroyed": "destroy", "encrypted": "encrypt", "ended": "end",
	"exported": "export", "imported": "import", "listed": "list", "looked": "look",
	"made": "make", "moved": "move", "read": "read", "removed": "remove", "renewed": "renew", "restored": "restore",
	"revoked": "revoke",
	"rotated": "rotate", "set": "set", "signed": "sign", "started": "start", "stopped": "stop", "took": "take",
	"tried": "try",
	"used":  "use",
}

// Tried says of an act, told in the past, that it did not come to be: "tried to delete it" for "deleted it". What is no
// act of that kind is given back as it is.
func Tried(did string) string {
	verb, rest, _ := strings.Cut(did, " ")
	if infinitive, ok := infinitives[verb]; ok {
		return strings.TrimSpace("tried to " + infinitive + " " + rest)
	}
	return did
}
