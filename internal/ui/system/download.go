package system

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/ui/visit"
)

// downloaded bounds the acts of one file, and downloadedBytes their size. An act takes memory as a record and as a line
// of the file, and what a page is made in.
const (
	downloaded      = 10_000
	downloadedBytes = 16 << 20
	lineCost        = 3
)

// fileLink is the address of what a page shows as a file.
func fileLink(path string, q url.Values, format string) string {
	all := url.Values{"format": {format}}
	for k, v := range q {
		if k != "before" {
			all[k] = v
		}
	}
	return path + "?" + all.Encode()
}

// download gives the acts that the filter chooses as a file, the newest first.
func (h *handlers) download(v *visit.Visit, f audit.Filter, format string) (visit.Answer, error) {
	if format != "csv" && format != "jsonl" {
		return visit.Answer{}, errs.New(errs.Invalid, "the format is csv or jsonl")
	}
	var all []audit.Record
	var before audit.Before
	name := "activity"
	for size := 0; len(all) < downloaded && size < downloadedBytes; {
		f.Limit = min(downloadedAtOnce, downloaded-len(all))
		if err := v.Hold(int64(f.Limit) * audit.RecordSize); err != nil {
			return visit.Answer{}, err
		}
		page, err := h.Trail.Acts(v.Context(), v.Caller, f, before)
		if err != nil {
			return visit.Answer{}, err
		}
		took := 0
		for i := range page.Records {
			took += page.Records[i].Size()
		}
		size += took
		// What the page was thought to take is given back where it is less.
		if err := v.Hold(lineCost*int64(took) - int64(f.Limit)*audit.RecordSize); err != nil {
			return visit.Answer{}, err
		}
		all = append(all, page.Records...)
		for _, m := range page.Missing { // whoever has the file must see that it is not all
			name += "-without-" + inName(m.Server)
		}
		if page.Next == "" {
			break
		}
		if before, err = audit.ParseBefore(page.Next); err != nil {
			return visit.Answer{}, err
		}
	}
	if format == "csv" {
		file, err := visit.Sheet(name+".csv", inTable(all))
		return visit.Answer{File: file}, err
	}
	body, err := inLines(all)
	return visit.Answer{File: &visit.File{Name: name + "." + format, Type: "application/jsonl; charset=utf-8",
		Body: body}}, err
}

// downloadedAtOnce is how many acts are read at a time.
const downloadedAtOnce = 500

// inName is a server's name as a part of a file's.
func inName(server string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, server)
}

func inLines(all []audit.Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range all {
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func inTable(all []audit.Record) [][]string {
	rows := [][]string{{"time", "user", "token", "address", "action", "organization", "secrets", "not listed", "target",
		"outcome", "code", "repeated", "request"}}
	for _, r := range all {
		rows = append(rows, []string{r.Time.UTC().Format(time.RFC3339), r.User, r.AuthorizationID, r.Address, r.Action,
			r.OrgID, strings.Join(r.Keys, "\n"), strconv.Itoa(r.KeysOmitted), r.Target, string(r.Outcome), r.Code,
			strconv.Itoa(r.Repeated), r.RequestID})
	}
	return rows
}
