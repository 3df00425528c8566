package kv2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/secret/vault/conn"
)

// Entry is an entry as it was read. The values stay in the form Vault gave them, so that what is not ours goes back as
// it came, also numbers that no Go type holds.
type Entry struct {
	Version int64  // of the latest; what check-and-set must name. 0: none was ever written
	Created string // when that was, as Vault gives it: versions begin anew after an entry's removal
	Data    map[string]json.RawMessage
	Custom  map[string]string // the entry's custom metadata
}

// Written is when the latest version was written; zero where there is none.
func (e Entry) Written() time.Time {
	at, _ := time.Parse(time.RFC3339Nano, e.Created)
	return at.UTC()
}

// Read gets the entry. One that does not exist, or whose latest version is deleted or destroyed, has no data; in the
// latter cases it has a version all the same, from which the next write goes on.
func (l Location) Read(ctx context.Context) (Entry, error) { return l.read(ctx, nil) }

// Look is Read, but that nothing is at a path which Vault's storage does not take, where Read gives conn.ErrLongName.
func (l Location) Look(ctx context.Context) (Entry, error) { return orNone(l.Read(ctx)) }

func orNone(e Entry, err error) (Entry, error) {
	if errors.Is(err, conn.ErrLongName) {
		return Entry{}, nil
	}
	return e, err
}

// ReadVersion gets the entry as an earlier version has it, without data where that is gone.
func (l Location) ReadVersion(ctx context.Context, version int64) (Entry, error) {
	return orNone(l.read(ctx, map[string][]string{"version": {strconv.FormatInt(version, 10)}}))
}

func (l Location) read(ctx context.Context, query map[string][]string) (Entry, error) {
	r := l.Request(http.MethodGet, "data", "read")
	var e Entry
	var odd bool
	err := l.Raw(ctx, r, query, func(a Answer) (ok bool) {
		e, odd = ParseEntry(a.Body)
		return a.Status == http.StatusOK || a.Status == http.StatusNotFound && !odd // else nothing is mounted there
	})
	if err == nil && odd {
		err = l.Conn.Fail(conn.Strange, "the answer has not the form of KV version 2", r)
	}
	if err == nil {
		err = l.Mine(e.Custom[ownerKey])
	}
	return e, err
}

// Answer is Vault's to a request that reads.
type Answer struct {
	Status int
	Body   []byte
	Header http.Header
}

// At is when the answer was given, by the clock of whoever gave it, and at most a second later: times that Vault has
// noted must not be compared with another machine's clock.
func (a Answer) At() time.Time {
	at, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return time.Now()
	}
	return at.Add(time.Second) // the header has no parts of seconds
}

// Raw makes a request that reads, and gives take the answer, also one of status 404. Where take does not know that, it
// is the error it is elsewhere.
func (l Location) Raw(ctx context.Context, r conn.Request, query map[string][]string, take func(Answer) bool) error {
	return l.Conn.Do(ctx, r, func(ctx context.Context) error {
		resp, err := l.Client.Logical().ReadRawWithDataWithContext(ctx, r.Path, query)
		if resp == nil {
			return err
		}
		defer resp.Body.Close()
		if err != nil && resp.StatusCode != http.StatusNotFound {
			return err
		}
		body, broken := io.ReadAll(resp.Body) // the connection bounds it
		if broken != nil {
			return broken
		}
		if !take(Answer{resp.StatusCode, body, resp.Header}) {
			return err
		}
		return nil
	})
}

// ParseEntry reads an answer to a read: data and its version, data null and its version, or an empty list of errors.
func ParseEntry(body []byte) (e Entry, odd bool) {
	var answer struct {
		Errors []string
		Data   *struct {
			Data     map[string]json.RawMessage
			Metadata *struct {
				Version
				Custom map[string]string `json:"custom_metadata"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Entry{}, true
	}
	switch d := answer.Data; {
	case d == nil:
		return Entry{}, answer.Errors == nil || len(answer.Errors) > 0
	case d.Metadata == nil:
		return Entry{}, true
	default:
		return Entry{d.Metadata.Version.Version, d.Metadata.Created, d.Data, d.Metadata.Custom}, false
	}
}

// Version is what is used of a version's metadata.
type Version struct {
	Version int64
	Created string `json:"created_time"`
}

// Encode writes JSON without the escapes that are for HTML.
func Encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("kv2: what was read as JSON cannot be written: " + err.Error()) // strings and JSON that was parsed
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// Put writes the entry's next version, by check-and-set: conn.ErrMismatch where the present one is not of that number.
func (l Location) Put(ctx context.Context, version int64, data map[string]json.RawMessage) (Version, error) {
	r := l.Request(http.MethodPut, "data", "update")
	if version == 0 {
		r.Needs = "create"
	}
	// Not as bytes, which the client would not send again to where a standby sends it.
	body := map[string]any{"options": map[string]int64{"cas": version}, "data": data}
	var written *api.Secret
	err := l.Conn.Do(ctx, r, func(ctx context.Context) (err error) {
		written, err = l.Client.Logical().WriteWithContext(ctx, r.Path, body)
		return err
	})
	if err != nil {
		return Version{}, err
	}
	return l.Written(written, r)
}

// Written is the version that Vault's answer to a write names.
func (l Location) Written(written *api.Secret, r conn.Request) (Version, error) {
	if written == nil || written.Data["version"] == nil {
		return Version{}, l.Conn.Fail(conn.Strange,
			"the answer to a write has no version: the mount is not KV version 2", r)
	}
	version, _ := written.Data["version"].(json.Number)
	n, err := version.Int64()
	created, _ := written.Data["created_time"].(string)
	if err != nil {
		return Version{}, l.Conn.Fail(conn.Strange, fmt.Sprintf("the answer to a write has the version %q", version), r)
	}
	return Version{n, created}, nil
}

// Remove makes the request DELETE: of "data" it deletes the latest version, of "metadata" everything.
func (l Location) Remove(ctx context.Context, kind string) error {
	return l.Conn.Do(ctx, l.Request(http.MethodDelete, kind, "delete"), func(ctx context.Context) error {
		_, err := l.Client.Logical().DeleteWithContext(ctx, l.In(kind))
		return err
	})
}

// RemoveOnce removes everything of the entry. Where the answer is lost it is not done again, since who finds no entry
// any more writes a new one: it is seen to be gone, or the error is conn.Unsure's.
func (l Location) RemoveOnce(ctx context.Context) error {
	watched, lost := conn.Watched(conn.Once(ctx))
	err := l.Remove(watched, "metadata")
	if err == nil || !lost() {
		return err
	}
	if e, looked := l.Read(ctx); looked == nil && e.Version == 0 {
		return nil
	}
	return conn.Unsure(err)
}
