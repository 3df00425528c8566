package ui

import (
	"strongroom/internal/access"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// usageOf says how much an organisation has of what the quota lets it have.
func usageOf(secrets *service.Service, quota secret.Quota) func(*visit.Visit) ([]string, error) {
	return func(v *visit.Visit) (lines []string, err error) {
		all := access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: v.Org})
		if quota == (secret.Quota{}) || !v.Caller.May(all) {
			return nil, nil
		}
		u, err := secrets.Usage(v.Context(), v.Caller, v.Org)
		if err != nil {
			return nil, err
		}
		if quota.Secrets > 0 {
			lines = append(lines, words.Number(int(u.Secrets))+" of "+words.Count(int(quota.Secrets), "secret"))
		}
		switch {
		case quota.Bytes > 0 && u.Bytes >= 0:
			lines = append(lines, words.Size(int(u.Bytes))+" of "+words.Size(int(quota.Bytes))+
				", with earlier values, deleted secrets until they are gone, and metadata")
		case quota.Bytes > 0:
			lines = append(lines, words.Size(int(quota.Bytes))+" are allowed; how many there are is not counted here")
		}
		return lines, nil
	}
}
