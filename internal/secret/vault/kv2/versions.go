package kv2

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/secret/vault/conn"
)

// Below is the location of what lies below this one.
func (l Location) Below(rest string) Location {
	l.Entry = path.Join(l.Entry, rest)
	return l
}

// List names what is directly below: entries, and folders with a slash at the end. It tells nothing of whether the
// latest version of an entry is deleted.
func (l Location) List(ctx context.Context) ([]string, error) {
	r := l.Request("LIST", "metadata", "list")
	var names []string
	var odd bool
	err := l.Conn.Do(ctx, r, func(ctx context.Context) error {
		s, err := l.Client.Logical().ListWithContext(ctx, r.Path)
		if err != nil || s == nil { // nothing is there
			return err
		}
		keys, ok := s.Data["keys"].([]any)
		odd = !ok
		names = make([]string, 0, len(keys))
		for _, k := range keys {
			name, ok := k.(string)
			odd = odd || !ok
			names = append(names, name)
		}
		return nil
	})
	if err == nil && odd {
		err = l.Conn.Fail(conn.Strange, "the answer to a list is not one", r)
	}
	return names, err
}

// Metadata is what is known of an entry without its values. Times are as Vault gives them, in UTC.
type Metadata struct {
	Keeping
	Current  int64                      `json:"current_version"`
	Oldest   int64                      `json:"oldest_version"`
	Created  time.Time                  `json:"created_time"`
	Custom   map[string]string          `json:"custom_metadata"`
	Versions map[string]VersionMetadata `json:"versions"`
	// At is when this was so, by Vault's clock.
	At time.Time `json:"-"`
}

// VersionMetadata is what is known of one version. Deleted is "" or a time, which may be one to come.
type VersionMetadata struct {
	Created   time.Time `json:"created_time"`
	Deleted   string    `json:"deletion_time"`
	Destroyed bool      `json:"destroyed"`
}

// Readable reports whether the version's value could be read then.
func (m Metadata) Readable(v VersionMetadata) bool {
	if v.Destroyed {
		return false
	}
	return v.Deleted == "" || v.DeletedAt().After(m.At)
}

// DeletedAt is when it was deleted, or will be; zero where it is not.
func (v VersionMetadata) DeletedAt() time.Time {
	at, _ := time.Parse(time.RFC3339Nano, v.Deleted)
	return at
}

// Version is one of them; ok is false where it is not kept.
func (m Metadata) Version(n int64) (v VersionMetadata, ok bool) {
	v, ok = m.Versions[strconv.FormatInt(n, 10)]
	return v, ok
}

// Alive reports whether the latest version could be read then.
func (m Metadata) Alive() bool {
	v, ok := m.Version(m.Current)
	return ok && m.Readable(v)
}

// Dead is for how long the latest version had been deleted.
func (m Metadata) Dead() time.Duration {
	v, _ := m.Version(m.Current)
	return m.At.Sub(v.DeletedAt())
}

// Metadata reads an entry's; found is false where there is no entry.
func (l Location) Metadata(ctx context.Context) (m Metadata, found bool, err error) {
	r := l.Request(http.MethodGet, "metadata", "read")
	var odd bool
	err = l.Raw(ctx, r, nil, func(a Answer) bool {
		var answer struct {
			Errors []string
			Data   *Metadata
		}
		broken := json.Unmarshal(a.Body, &answer) != nil
		if a.Status == http.StatusNotFound {
			return !broken && answer.Errors != nil && len(answer.Errors) == 0
		}
		if odd = broken || answer.Data == nil; !odd {
			m, found = *answer.Data, true
			m.At = a.At()
		}
		return true
	})
	switch {
	case errors.Is(err, conn.ErrLongName):
		return Metadata{}, false, nil
	case err == nil && odd:
		err = l.Conn.Fail(conn.Strange, "the answer has not the form of an entry's metadata", r)
	}
	return m, found, err
}

// Delete deletes one version, whose value can be brought back, and Undelete does that. Neither touches another version.
func (l Location) Delete(ctx context.Context, version int64) error {
	return l.mark(ctx, "delete", version)
}

// Undelete brings one version's value back.
func (l Location) Undelete(ctx context.Context, version int64) error {
	return l.mark(ctx, "undelete", version)
}

// Destroy removes one version's value for good.
func (l Location) Destroy(ctx context.Context, version int64) error {
	return l.mark(ctx, "destroy", version)
}

func (l Location) mark(ctx context.Context, kind string, version int64) error {
	r := l.Request(http.MethodPut, kind, "update")
	return l.Conn.Do(ctx, r, func(ctx context.Context) error {
		_, err := l.Client.Logical().WriteWithContext(ctx, r.Path, map[string]any{"versions": []int64{version}})
		return err
	})
}

// May asks whether the token's policies allow all the requests. Its error is that of the first which they do not. Where
// the token may not ask, it makes each so that it changes nothing.
func (l Location) May(ctx context.Context, requests []conn.Request) error {
	paths := make([]string, len(requests))
	for i, r := range requests {
		paths[i] = r.Path
	}
	ask := conn.Request{Method: http.MethodPut, Kind: "capabilities", Path: "sys/capabilities-self", Needs: "update",
		Optional: true}
	var has map[string]any
	err := l.Conn.Do(ctx, ask, func(ctx context.Context) error {
		s, err := l.Client.Logical().WriteWithContext(ctx, ask.Path, map[string]any{"paths": paths})
		if s != nil {
			has = s.Data
		}
		return err
	})
	switch {
	case conn.Is(err, conn.Denied), conn.Is(err, conn.Unmounted), conn.Is(err, conn.Strange):
		return conn.Each(ctx, len(requests), func(ctx context.Context, i int) error { return l.try(ctx, requests[i]) })
	case err != nil:
		return err
	}
	for _, r := range requests {
		all, told := has[r.Path].([]any)
		if told && !slices.Contains(all, any(r.Needs)) && !slices.Contains(all, any("root")) {
			return l.denied(r)
		}
	}
	return nil
}

// noVersion is one that no entry comes to.
const noVersion = 1<<31 - 1

// try makes a request so that Vault looks at the policies and then does nothing: a write by a check-and-set that does
// not hold, a mark of no version.
func (l Location) try(ctx context.Context, r conn.Request) error {
	body := map[string]any{"versions": []int64{}}
	if r.Kind == "data" {
		body = map[string]any{"data": map[string]any{}, "options": map[string]int64{"cas": noVersion}}
	}
	tried := r
	tried.Optional = true
	err := l.Conn.Do(ctx, tried, func(ctx context.Context) error {
		_, err := l.Client.Logical().WriteWithContext(ctx, r.Path, body)
		return err
	})
	switch {
	case conn.Is(err, conn.Denied):
		return l.denied(r)
	case err == conn.ErrMismatch, conn.Is(err, conn.Strange):
		return nil
	}
	return err
}

func (l Location) denied(r conn.Request) error {
	return l.Conn.Fail(conn.Denied, "the token's policies lack the capability "+strconv.Quote(r.Needs)+" on "+
		strconv.Quote(r.Path), r)
}

// Describe replaces an entry's custom metadata.
func (l Location) Describe(ctx context.Context, custom map[string]string) error {
	r := l.Request(http.MethodPut, "metadata", "update")
	return l.Conn.Do(ctx, r, func(ctx context.Context) error {
		_, err := l.Client.Logical().WriteWithContext(ctx, r.Path, map[string]any{"custom_metadata": custom})
		return err
	})
}

// IsFolder reports whether a name of List is a folder's, and gives it without its slash.
func IsFolder(name string) (string, bool) { return strings.CutSuffix(name, "/") }
