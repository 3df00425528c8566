package words

// reasons say of each code of an error why an act on record did not come to be.
var reasons = map[string]string{
	"internal error":       "an error in the server, whose log has more",
	"not implemented":      "this cannot be done here",
	"invalid":              "something in it was not valid",
	"unprocessable entity": "this could not be done as it was asked for",
	"empty value":          "something was left empty",
	"conflict":             "in conflict with what was there",
	"not found":            "it was not there",
	"unavailable":          "out of reach just then",
	"forbidden":            "not allowed",
	"too many requests":    "too many tries in a short time",
	"unauthorized":         "no permission",
	"method not allowed":   "this cannot be done there",
	"request too large":    "it was too large",
	"insufficient storage": "the disk was full",
	"precondition failed":  "it was not as it had to be for this",
}

// reasonsOf are the reasons of single actions, where there is more to say.
var reasonsOf = map[string]map[string]string{
	"signin":       {"unauthorized": "wrong name or password", "forbidden": "the account was disabled"},
	"authenticate": {"unauthorized": "unknown, ended or revoked", "forbidden": "the account or the token was disabled"},
	"secrets.apply": {"unprocessable entity": "more than the organisation may have",
		"precondition failed": "it was there already, or was changed meanwhile"},
	"secrets.copy": {"unprocessable entity": "more than the organisation may have",
		"precondition failed": "the new name was taken, or it was changed meanwhile"},
	"secrets.restore":       {"unprocessable entity": "more than the organisation may have"},
	"authorizations.create": {"forbidden": moreThanOwn}, "approle.set": {"forbidden": moreThanOwn},
	"approle.secret-id": {"forbidden": moreThanOwn}, "token.create": {"forbidden": moreThanOwn},
	"orgs.members.add": {"forbidden": moreThanOwn}, "orgs.owners.add": {"forbidden": moreThanOwn},
}

// moreThanOwn is why nobody may give it.
const moreThanOwn = "more than they may do themselves"

// Why says by the action and the code of an error why it did not come to be; "" for a code that is not known here.
func Why(action, code string) string {
	if s, ok := reasonsOf[action][code]; ok {
		return s
	}
	return reasons[code]
}
