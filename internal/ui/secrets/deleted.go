package secrets

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

const (
	// restoreTime bounds how long one request restores deleted secrets: what is left is told, and
	// can be asked for again.
	restoreTime = 20 * time.Second
	// restoresAtOnce lets a store write several restorations together.
	restoresAtOnce = 16
)

// bringBack undoes deletions: of the secrets that are chosen, of all that match a search, or of those that the reader
// deleted in a time (visit.Undo). It takes nothing away, so nobody is asked: what was set under a name since stays.
func (h *handlers) bringBack(v *visit.Visit) (visit.Answer, error) {
	if one := v.PostFormValue("one"); one != "" {
		return h.bringBackOne(v, one)
	}
	keys, err := chosen(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if do := v.Field("do"); do == "remove" || do == "remove-all" {
		return h.askRemove(v, keys)
	}
	if len(keys) == 1 {
		return h.bringBackOne(v, keys[0])
	}
	deleted, err := h.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
	if err != nil {
		return visit.Answer{}, err
	}
	wanted, err := wantedBack(v, keys)
	if err != nil {
		return visit.Answer{}, err
	}
	deleted = slices.DeleteFunc(deleted, func(i secret.Info) bool { return !wanted(i) })
	if len(deleted) == 0 {
		return visit.Answer{GoTo: v.At("/secrets/deleted"),
			Note: "Nothing was restored: none of it is among the deleted secrets."}, nil
	}
	return h.bringBackMany(v, deleted)
}

// wantedBack reads from the form which deleted secrets are to be restored.
func wantedBack(v *visit.Visit, keys []string) (func(secret.Info) bool, error) {
	switch {
	case v.Field("all") == "yes":
		search := v.PostFormValue("q")
		return func(i secret.Info) bool { return words.Contains(i.Key, search) }, nil
	case v.Field("from") != "":
		from, err1 := strconv.ParseInt(v.Field("from"), 10, 64)
		to, err2 := strconv.ParseInt(v.Field("to"), 10, 64)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, errs.Wrap(err, errs.Invalid, "the form could not be read; load the page again and repeat")
		}
		return func(i secret.Info) bool {
			at := i.Deleted.UnixMilli()
			return i.DeletedBy == v.Caller.User && from <= at && at <= to
		}, nil
	}
	return func(i secret.Info) bool { _, is := slices.BinarySearch(keys, i.Key); return is }, nil
}

// bringBackMany restores secrets, each by itself, and then looks how many are still deleted: a restoration whose answer
// was lost may have been made.
func (h *handlers) bringBackMany(v *visit.Visit, deleted []secret.Info) (visit.Answer, error) {
	ctx, cancel := context.WithTimeout(v.Context(), restoreTime)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(restoresAtOnce)
	for _, i := range deleted {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := h.Secrets.Restore(ctx, v.Caller, v.Org, i.Key, 0)
			if err != nil && !errs.Is(err, errs.NotFound) {
				cancel() // what stops one stops the others, and is told
				return err
			}
			return nil
		})
	}
	why := g.Wait()
	now, err := h.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
	if err != nil {
		return visit.Answer{}, cmp.Or(why, err)
	}
	still := make(map[string]bool, len(now))
	for _, i := range now {
		still[i.Key] = true
	}
	left := 0
	for _, i := range deleted {
		if still[i.Key] {
			left++
		}
	}
	done := len(deleted) - left
	switch {
	case left == 0:
		return visit.Answer{GoTo: v.At("/secrets"), Note: words.Count(done, "secret") + " restored."}, nil
	case done == 0 && why != nil:
		return visit.Again(why)(h.deletedPage(v))
	}
	return visit.Answer{GoTo: v.At("/secrets/deleted"),
		Note: words.Count(done, "secret") + " restored. " + visit.LeftHere(left, why)}, nil
}

func (h *handlers) bringBackOne(v *visit.Visit, key string) (visit.Answer, error) {
	info, err := h.Secrets.Info(v.Context(), v.Caller, v.Org, key)
	there := err == nil && info.Deleted.IsZero()
	if err == nil && !there {
		err = h.Secrets.Restore(v.Context(), v.Caller, v.Org, key, 0)
	}
	if errs.Is(err, errs.NotFound) {
		err = errs.New(errs.NotFound, "%q cannot be restored any more: a deleted secret is kept for %s",
			errs.Clip(key), keptDays())
	}
	if err != nil {
		return visit.Again(err)(h.deletedPage(v))
	}
	if there {
		return visit.Answer{GoTo: v.At("/secrets/deleted"),
			Note: "“" + errs.Clip(key) + "” is there already, and was left as it is."}, nil
	}
	return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(key)),
		Note: "“" + errs.Clip(key) + "” is restored, with the value that it had."}, nil
}

// undoOf finds when the reader's deletion of the keys was made, by the store's clock; nil where it cannot be undone.
func (h *handlers) undoOf(v *visit.Visit, keys []string) *visit.Undo {
	if !h.keepsDeleted(v.Org) || len(keys) == 0 {
		return nil
	}
	deleted, err := h.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
	if err != nil {
		h.Logger.Warn("a deletion cannot be undone from the next page", "request", v.ID, "error", err)
		return nil
	}
	var u *visit.Undo
	for _, i := range deleted {
		if _, is := slices.BinarySearch(keys, i.Key); !is || i.DeletedBy != v.Caller.User {
			continue
		}
		at := i.Deleted.UnixMilli()
		if u == nil {
			u = &visit.Undo{From: at, To: at}
		}
		u.From, u.To = min(u.From, at), max(u.To, at)
	}
	return u
}
