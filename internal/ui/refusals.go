package ui

import (
	"errors"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// refusal says in the pages' words what the API says in words for programs: with what to do next, where that is known.
func (u *UI) refusal(c Config) func(*visit.Visit, error) visit.Refusal {
	return func(v *visit.Visit, err error) visit.Refusal {
		text := errs.Message(err)
		var over *secret.OverQuota
		switch {
		case errors.As(err, &over):
			return overQuota(v, over)
		case errs.Is(err, errs.Unauthorized) && strings.Contains(text, " is unauthorized"):
			return visit.Refusal{Text: "You may not see or change this. An owner of the organisation, or an " +
				"operator of this server, can let you."}
		case errs.Is(err, errs.Forbidden) && text == "User is inactive":
			return visit.Refusal{Text: "Your account is disabled, so nothing was done. An operator of this server " +
				"can enable it."}
		case errs.Is(err, errs.InsufficientStorage):
			// A large change may be committed, and be carried out when there is room.
			r := visit.Refusal{Text: words.Sentence(text), Advice: "This may not have been saved. Once an operator " +
				"of this server has made room there, look whether it was, and if not, do it again."}
			if v.Session != "" {
				r.Path, r.Link = "/store", "See the store"
			}
			return r
		case errs.Is(err, errs.Unavailable):
			return u.away(v, c.StoreName, text)
		}
		return visit.Refusal{Text: words.Sentence(text)}
	}
}

// overQuota says what is too much, and how there comes to be room.
func overQuota(v *visit.Visit, over *secret.OverQuota) visit.Refusal {
	r := visit.Refusal{Text: "This organisation may have " + words.Count(int(over.Quota.Secrets), "secret") +
		", and this would make " + words.Number(int(over.Becomes.Secrets)) + ". Nothing was changed. Delete some " +
		"that nobody needs first, or ask an operator of this server to allow more."}
	if over.Quota.Bytes > 0 {
		r.Text = "The secrets of this organisation may take " + words.Size(int(over.Quota.Bytes)) + ", and this " +
			"would make " + words.Size(int(over.Becomes.Bytes)) + ". Nothing was changed. Earlier versions and " +
			"deleted secrets take room, too, until they are deleted for good: make room, or ask an operator of this " +
			"server to allow more."
	}
	if v.Org.Valid() {
		r.Path, r.Link = v.At("#room"), "See what takes the room"
	}
	return r
}

// away leads to the store's page where it is the store that does not serve.
func (u *UI) away(v *visit.Visit, store, text string) visit.Refusal {
	if store == "vault" {
		text = strings.ReplaceAll(text, "the secret store", "Vault")
	}
	r := visit.Refusal{Text: words.Sentence(text)}
	advises := strings.Contains(text, "again") // one advice is enough
	if v.Unread() {
		if r.Advice = "Your session is kept."; !advises {
			r.Advice = "Your session is kept: try again in a moment, without signing in."
		}
		return r
	}
	if _, err := u.hour.State(v.Context()); err != nil && v.Session != "" {
		if r.Path, r.Link = "/store", "See the store"; !advises {
			r.Advice = "Try again once it is back."
		}
	}
	return r
}
