package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// removePage asks before a deleted secret is deleted for good, by a link.
func (h *handlers) removePage(v *visit.Visit) (visit.Answer, error) {
	return h.askRemove(v, v.URL.Query()["key"])
}

// removable finds the deleted secrets among the names, or all that match a search.
func (h *handlers) removable(v *visit.Visit, keys []string) ([]string, error) {
	deleted, err := h.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
	if err != nil {
		return nil, err
	}
	all, search := v.Field("do") == "remove-all", v.PostFormValue("q")
	slices.Sort(keys)
	var names []string
	for _, i := range deleted {
		if _, is := slices.BinarySearch(keys, i.Key); !all && is || all && words.Contains(i.Key, search) {
			names = append(names, i.Key)
		}
	}
	return names, nil
}

func (h *handlers) askRemove(v *visit.Visit, keys []string) (visit.Answer, error) {
	if err := h.mayRemove(v); err != nil {
		return visit.Answer{}, err
	}
	keys, err := h.removable(v, keys)
	if err != nil {
		return visit.Answer{}, err
	}
	if len(keys) == 0 {
		return visit.Answer{GoTo: v.At("/secrets/deleted"),
			Note: "Nothing was deleted for good: none of it is among the deleted secrets."}, nil
	}
	list, err := json.Marshal(keys)
	what := words.Count(len(keys), "deleted secret")
	c := visit.Confirm{Question: "Delete " + what + " for good?", Goes: keys[:min(len(keys), confirmShown)],
		More: max(0, len(keys)-confirmShown), Keys: string(list), Action: v.At("/secrets/remove"),
		Button: "Delete for good", Cancel: v.At("/secrets/deleted"),
		Back: "All their values and versions go, and nobody can restore them: only a backup has them still."}
	if len(keys) == 1 {
		c.Question = "Delete this secret for good?"
		c.Back = "All its values and versions go, and nobody can restore it: only a backup has it still."
	}
	return visit.Ask(c), err
}

func (h *handlers) mayRemove(v *visit.Visit) error {
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return err
	}
	if !h.keepsDeleted(v.Org) {
		return errs.New(errs.NotFound, "the store of this server keeps nothing that is deleted")
	}
	return nil
}

// remove deletes for good what is deleted. What somebody has restored or set anew meanwhile stays.
func (h *handlers) remove(v *visit.Visit) (visit.Answer, error) {
	keys, err := chosen(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if v.Field("sure") != "yes" {
		return h.askRemove(v, keys)
	}
	if err := h.mayRemove(v); err != nil {
		return visit.Answer{}, err
	}
	if keys, err = h.removable(v, keys); err != nil {
		return visit.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(v.Context(), restoreTime)
	defer cancel()
	restored := make([]bool, len(keys)) // by somebody else, meanwhile
	var g errgroup.Group
	g.SetLimit(restoresAtOnce)
	for i, key := range keys {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := h.Secrets.Remove(ctx, v.Caller, v.Org, key, true)
			switch {
			case errors.Is(err, secret.ErrNotDeleted):
				restored[i] = true
				return nil
			case err != nil:
				cancel() // what stops one stops the others, and is told
			}
			return err
		})
	}
	why := g.Wait()
	left, err := h.removable(v, keys)
	if err != nil {
		return visit.Answer{}, err
	}
	done := 0
	for i, key := range keys {
		if _, still := slices.BinarySearch(left, key); !still && !restored[i] {
			done++
		}
	}
	if done == 0 && why != nil {
		return visit.Again(why)(h.askRemove(v, keys))
	}
	note := words.Count(done, "secret") + " deleted for good."
	switch {
	case done == 0 && len(left) == 0:
		note = "Nothing was deleted for good: none of it is among the deleted secrets."
	case len(left) > 0:
		note += " " + visit.LeftHere(len(left), why)
	case len(keys) == 1:
		note = "“" + errs.Clip(keys[0]) + "” is deleted for good."
	}
	return visit.Answer{GoTo: v.At("/secrets/deleted"), Note: note}, nil
}

// mayDestroy says that something of an earlier version is kept.
func mayDestroy(v secret.Version) bool { return v.Restorable || !v.Deleted.IsZero() && !v.Destroyed }

// MayDestroy is mayDestroy for the page.
func (a *about) MayDestroy(v secret.Version) bool { return mayDestroy(v) }

// Destroyable is how many earlier versions are kept.
func (a *about) Destroyable() int {
	n := 0
	for _, v := range a.Earlier {
		if mayDestroy(v) {
			n++
		}
	}
	return n
}

// earlier is the version in a link that stands for all but the current one.
const earlier = "earlier"

// destroying are the earlier versions of a secret that a link or a form names, and when the secret was made.
func (h *handlers) destroying(v *visit.Visit, key, version string) ([]secret.Version, time.Time, error) {
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return nil, time.Time{}, err
	}
	info, err := h.info(v, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	var versions []secret.Version
	for _, of := range info.Versions {
		named := version == earlier || slices.Contains(strings.Split(version, ","), strconv.Itoa(of.Number))
		if named && mayDestroy(of) && of.Number != info.Version {
			versions = append(versions, of)
		}
	}
	if len(versions) == 0 {
		return nil, time.Time{}, errs.New(errs.NotFound, "there is no earlier version of %q here that is kept; it may "+
			"have been destroyed meanwhile", errs.Clip(key))
	}
	return versions, info.Created, nil
}

func (h *handlers) askDestroy(v *visit.Visit, key, version string) (visit.Answer, error) {
	versions, made, err := h.destroying(v, key, version)
	if err != nil {
		return visit.Answer{}, err
	}
	// The form names each of them: one that becomes an earlier version meanwhile is none of those that were shown, nor
	// is one of a secret that is made anew.
	c := visit.Confirm{
		Action: v.At("/secret/destroy?" + url.Values{"key": {key}, "version": {numbersOf(versions)},
			"made": {made.Format(time.RFC3339Nano)}}.Encode()),
		Cancel: v.At("/secret?key=" + url.QueryEscape(key)), Button: "Destroy",
		Question: "Destroy " + words.Count(len(versions), "earlier version") + "?",
		Back: "The current value of “" + errs.Clip(key) + "” stays. What is destroyed cannot be restored by " +
			"anybody: only a backup has it still.",
	}
	if len(versions) == 1 {
		c.Question = fmt.Sprintf("Destroy version %d?", versions[0].Number)
	}
	for _, of := range slices.Backward(versions) {
		line := fmt.Sprintf("the value of version %d", of.Number)
		if !of.At.IsZero() {
			line += ", set " + words.Ago(of.At, h.Now())
		}
		if of.By != "" {
			line += " by " + of.By
		}
		c.Goes = append(c.Goes, line)
	}
	c.More = max(0, len(c.Goes)-confirmShown)
	c.Goes = c.Goes[:len(c.Goes)-c.More]
	return visit.Ask(c), nil
}

// numbersOf are the versions' numbers, as a link has them.
func numbersOf(versions []secret.Version) string {
	numbers := make([]string, len(versions))
	for i, of := range versions {
		numbers[i] = strconv.Itoa(of.Number)
	}
	return strings.Join(numbers, ",")
}

func (h *handlers) destroyPage(v *visit.Visit) (visit.Answer, error) {
	return h.askDestroy(v, v.URL.Query().Get("key"), v.URL.Query().Get("version"))
}

// destroy removes the values of earlier versions for good.
func (h *handlers) destroy(v *visit.Visit) (visit.Answer, error) {
	key, version := v.URL.Query().Get("key"), v.URL.Query().Get("version")
	if v.Field("sure") != "yes" {
		return h.askDestroy(v, key, version)
	}
	var made time.Time
	if text := v.URL.Query().Get("made"); text != "" {
		var err error
		if made, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return visit.Answer{}, errs.Wrap(err, errs.Invalid, "the form could not be read; load the page again and "+
				"repeat")
		}
	}
	versions, _, err := h.destroying(v, key, version)
	if err != nil {
		return visit.Answer{}, err
	}
	var numbers []int
	for _, of := range versions {
		numbers = append(numbers, of.Number)
	}
	destroy := secret.Marking{Mark: secret.DestroyVersion, Versions: numbers, Created: made}
	if err := h.Secrets.Mark(v.Context(), v.Caller, v.Org, key, destroy); err != nil {
		return visit.Again(err)(h.askDestroy(v, key, version))
	}
	note := fmt.Sprintf("Version %d is destroyed.", numbers[0])
	if len(numbers) > 1 {
		note = words.Count(len(numbers), "earlier version") + " destroyed."
	}
	return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(key)), Note: note}, nil
}
