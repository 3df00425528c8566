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

	"strongroom/internal/errs"
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
	ID      id.ID             `json:"id"`
	Name    string            `json:"name,omitempty"`
	Secrets map[string]string `json:"secrets"`
}

// Export writes the organisations' secrets in clear, and gives their number.
func Export(ctx context.Context, store secret.Store, orgs []identity.Org, now time.Time, w io.Writer) (int, error) {
	e := export{Format: exportFormat, Exported: now.UTC(), Organizations: []exportedOrg{}}
	n := 0
	for _, org := range orgs {
		keys, err := store.Keys(ctx, org.ID)
		if err != nil {
			return n, fmt.Errorf("organization %s: %w", org.ID, err)
		}
		if len(keys) == 0 {
			continue
		}
		o := exportedOrg{ID: org.ID, Name: org.Name, Secrets: make(map[string]string, len(keys))}
		for _, key := range keys {
			value, err := store.Get(ctx, org.ID, key)
			if errs.Is(err, errs.NotFound) {
				continue // deleted since
			}
			if err != nil {
				return n, fmt.Errorf("organization %s: %w", org.ID, err)
			}
			o.Secrets[key] = string(value.Bytes())
			n++
		}
		e.Organizations = append(e.Organizations, o)
	}
	return n, json.NewEncoder(w).Encode(e)
}

var errExport = errors.New("it is not an export of Strongroom's secrets")

// ReadExport reads what Export has written. Its errors show nothing of it.
func ReadExport(r io.Reader) (*influxdb.Contents, error) {
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
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("it is longer than %d bytes", maxExport)
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, errExport),
		errors.Is(err, id.ErrInvalid), errors.Is(err, id.ErrLength):
		return nil, errExport
	case err != nil:
		return nil, err
	case e.Format != exportFormat:
		return nil, errExport
	}
	var secrets []influxdb.Secret
	for _, o := range e.Organizations {
		if !o.ID.Valid() {
			return nil, errExport
		}
		for _, key := range slices.Sorted(maps.Keys(o.Secrets)) {
			secrets = append(secrets, influxdb.Secret{Org: o.ID, Key: key, Value: secret.NewValue([]byte(o.Secrets[key]))})
		}
	}
	return &influxdb.Contents{EachSecrets: influxdb.Whole(secrets)}, nil
}
