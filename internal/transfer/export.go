package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxdb"
	"strongroom/internal/secret"
)

// exportFormat names the form of an export and its version.
const exportFormat = "strongroom-secrets-1"

// maxExport bounds what is read of an export, in bytes.
const maxExport = 1 << 30

// export is the JSON of an exported store. Its values are in clear: it is for whoever encrypts the file around it.
type export struct {
	Format        string        `json:"format"`
	Exported      time.Time     `json:"exported"`
	Organizations []exportedOrg `json:"organizations"`
}

type exportedOrg struct {
	ID           id.ID                          `json:"id"`
	Name         string                         `json:"name,omitempty"`
	Secrets      map[string]string              `json:"secrets"`
	Descriptions map[string]exportedDescription `json:"descriptions,omitempty"`
}

type exportedDescription struct {
	Text    string    `json:"text,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// Exported counts what an export holds. Left are the names that the store lists and that have no text for a value.
type Exported struct{ Secrets, Left int }

// Export writes the organisations' secrets in clear.
func Export(ctx context.Context, store secret.Store, orgs []identity.Org, now time.Time, w io.Writer) (n Exported,
	err error) {
	e := export{Format: exportFormat, Exported: now.UTC(), Organizations: []exportedOrg{}}
	for _, org := range orgs {
		o, left, err := exportOrg(ctx, store, org)
		if err != nil {
			return n, fmt.Errorf("organization %s: %w", org.ID, err)
		}
		if n.Left += left; len(o.Secrets) > 0 {
			n.Secrets += len(o.Secrets)
			e.Organizations = append(e.Organizations, o)
		}
	}
	return n, json.NewEncoder(w).Encode(e)
}

func exportOrg(ctx context.Context, store secret.Store, org identity.Org) (o exportedOrg, left int, err error) {
	o = exportedOrg{ID: org.ID, Name: org.Name, Secrets: make(map[string]string),
		Descriptions: make(map[string]exportedDescription)}
	keys, err := store.Keys(ctx, org.ID)
	if err != nil {
		return o, 0, err
	}
	snap, err := store.Read(ctx, org.ID, secret.Query{})
	if err != nil {
		return o, 0, err
	}
	for _, key := range keys {
		got, ok := snap.Secrets[key]
		if !ok { // one that has no text, or came since
			left++
			continue
		}
		o.Secrets[key] = string(got.Value.Bytes())
		d, err := described(ctx, store, org.ID, key)
		if err != nil {
			return o, left, err
		}
		if d != (secret.Description{}) {
			o.Descriptions[key] = exportedDescription{d.Text, d.Expires}
		}
	}
	return o, left, nil
}

// ExportContents are what an export holds.
type ExportContents struct {
	Orgs    []identity.Org // with a name and an ID; exports of older servers have no name
	Secrets []influxdb.Secret
}

var errExport = errors.New("it is not an export of Strongroom's secrets")

// ReadExport reads what Export has written. Its errors show nothing of it.
func ReadExport(r io.Reader) (*ExportContents, error) {
	limited := &io.LimitedReader{R: r, N: maxExport + 1}
	d := json.NewDecoder(limited)
	var e export
	err := d.Decode(&e)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errExport
		}
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("it is longer than %d bytes", maxExport)
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err,
		io.EOF), errors.Is(err, errExport),
		errors.Is(err, id.ErrInvalid), errors.Is(err, id.ErrLength), errors.As(err, &when):
		return nil, errExport
	case err != nil:
		return nil, err
	case e.Format != exportFormat:
		return nil, errExport
	}
	var c ExportContents
	for _, o := range e.Organizations {
		if !o.ID.Valid() {
			return nil, errExport
		}
		c.Orgs = append(c.Orgs, identity.Org{ID: o.ID, Name: o.Name})
		for _, key := range slices.Sorted(maps.Keys(o.Secrets)) {
			d := o.Descriptions[key]
			c.Secrets = append(c.Secrets, influxdb.Secret{Org: o.ID, Key: key,
				Value:       secret.NewValue([]byte(o.Secrets[key])),
				Description: secret.Description{Text: d.Text, Expires: d.Expires}})
		}
	}
	return &c, nil
}
