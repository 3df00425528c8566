package vault

import (
	"context"
	"fmt"
	"path"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/persecret/intent"
)

// maxExamined bounds how many entries of a place are looked at one by one.
const maxExamined = 200

// examineKeeping warns of what Vault deletes by itself: after a time, or since it keeps one version and no more. The
// mount may say so, and any entry for itself.
func (s *Store) examineKeeping(ctx context.Context, p Place) (warnings []string, err error) {
	at := p.Example(s.conn)
	mount, known, err := at.Keeping(ctx)
	switch {
	case err != nil:
		return nil, err
	case !known:
		warnings = append(warnings, fmt.Sprintf("whether Vault deletes secrets by itself after a time is not known: "+
			"the token may not read %s/config", p.Mount))
	default:
		warnings = append(warnings, mountKeeping(p, mount)...)
	}
	entries, err := s.entries(ctx, p)
	if conn.Is(err, conn.Denied) { // a policy need not allow to list what is there
		return warnings, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at.Entry = e
		m, found, err := at.Metadata(ctx)
		if conn.Is(err, conn.Denied) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found {
			set := "vault kv metadata put -mount=" + p.Mount + " %s " + e
			warnings = append(warnings, keeping(p, m.Keeping, at.In("data"),
				fmt.Sprintf(set, "-delete-version-after=0s"), fmt.Sprintf(set, "-max-versions=10"))...)
		}
	}
	return warnings, nil
}

// warnKeeping warns of that at a start, as far as the mounts' own settings go.
func (s *Store) warnKeeping(ctx context.Context, p Place) {
	if k, known, err := p.Example(s.conn).Keeping(ctx); err == nil && known {
		for _, w := range mountKeeping(p, k) {
			s.conn.Log.Warn(w)
		}
	}
}

func mountKeeping(p Place, k kv2.Keeping) []string {
	set := "vault write " + p.Mount + "/config "
	return keeping(p, k, p.Mount+"/", set+"delete_version_after=0s", set+"max_versions=10")
}

// keeping is what to say of the settings of a mount or an entry, and how to change them.
func keeping(p Place, k kv2.Keeping, where, noEnd, more string) (warnings []string) {
	if after, ends := k.Ends(); ends {
		w := fmt.Sprintf("%s: Vault deletes a value %s after it was written (delete_version_after), whether or not "+
			"it is in use", where, login.Words(after))
		if p.Layout == kv2.LayoutSecret {
			w += ", and with it what tells of changes under way and of deleted secrets"
		}
		warnings = append(warnings, w+"; turn that off with: "+noEnd+
			"; and set anew what was written before, which ends all the same")
	}
	if k.MaxVersions == 1 && p.Layout == kv2.LayoutSecret {
		warnings = append(warnings, fmt.Sprintf("%s: Vault keeps one version of a secret (max_versions), so that no "+
			"earlier one can be brought back; keep more with: %s", where, more))
	}
	return warnings
}

// examineJournals warns of values in changes that were never made, and of organisations' ends that are not over.
func (s *Store) examineJournals(ctx context.Context, p Place) (warnings []string, err error) {
	if p.Layout != kv2.LayoutSecret {
		return nil, nil
	}
	organisations, err := s.organisations(ctx, p)
	at := p.Example(s.conn)
	for _, at.Entry = range organisations {
		var left int
		if left, err = intent.LeftBehind(ctx, at); err != nil {
			break
		}
		var ending bool
		if ending, err = intent.Ending(ctx, at); err != nil {
			break
		}
		if ending {
			warnings = append(warnings, fmt.Sprintf("%s: the organisation has ended, and not all of it is removed; "+
				"an influxd whose token has \"delete\" on it and below goes on within the hour, or at its next start; "+
				"or remove by hand what is there (vault kv metadata delete -mount=%s), %s last", at.In("metadata"),
				p.Mount, at.Below(intent.StateEntry).Entry))
		}
		if left > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: Vault holds %d parts, with values, of changes that were "+
				"never made, since a server ended in them; an influxd that serves the organisation removes them "+
				"within a quarter of an hour", at.In("metadata"), left))
		}
	}
	if conn.Is(err, conn.Denied) {
		err = nil
	}
	return warnings, err
}

// organisations are the paths of the first that are there.
func (s *Store) organisations(ctx context.Context, p Place) ([]string, error) {
	at := p.Example(s.conn)
	found := []string{""}
	for segment := range strings.SplitSeq(p.Path, "/") {
		var next []string
		for _, folder := range found {
			if !strings.Contains(segment, "{") {
				next = append(next, path.Join(folder, segment))
				continue
			}
			at.Entry = folder
			names, err := at.List(ctx)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				name = strings.TrimSuffix(name, "/")
				if _, err := id.Parse(name); segment != "{org}" || err == nil {
					next = append(next, path.Join(folder, name))
				}
			}
		}
		found = next[:min(len(next), maxExamined)]
	}
	return found, nil
}

// entries are the first of the organisations' that are there.
func (s *Store) entries(ctx context.Context, p Place) ([]string, error) {
	found, err := s.organisations(ctx, p)
	if err != nil {
		return nil, err
	}
	at := p.Example(s.conn)
	if p.Layout != kv2.LayoutSecret {
		return found, nil
	}
	var all []string
	for _, folder := range found {
		at.Entry = folder
		names, err := at.List(ctx)
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			all = append(all, path.Join(folder, intent.StateEntry))
		}
		for _, name := range names {
			if _, folders := kv2.IsFolder(name); !folders {
				all = append(all, path.Join(folder, name))
			}
		}
		if len(all) >= maxExamined {
			break
		}
	}
	return all[:min(len(all), maxExamined)], nil
}
