package content

import "strongroom/internal/secret"

// Info is what is known of a secret, without its versions.
func (m *Meta) Info(name string) secret.Info {
	newest := m.Newest()
	info := secret.Info{
		Key: name, Version: newest.N, By: newest.By,
		Created: Time(m.Created), Updated: Time(newest.At),
		Description: secret.Description{Text: m.Description, Expires: Time(m.Expires)},
	}
	for _, v := range m.Versions[:len(m.Versions)-1] {
		if !v.Lost && !v.Destroyed {
			info.Earlier++
		}
	}
	if m.Deleted != nil {
		info.Deleted, info.DeletedBy = Time(m.Deleted.At), m.Deleted.By
	}
	return info
}

// InfoWithVersions is Info with them.
func (m *Meta) InfoWithVersions(name string) secret.Info {
	info := m.Info(name)
	for _, v := range m.Versions {
		info.Versions = append(info.Versions, secret.Version{Number: v.N, At: Time(v.At), By: v.By,
			Restorable: v.Readable(), Deleted: Time(v.Deleted), Destroyed: v.Destroyed})
	}
	return info
}
