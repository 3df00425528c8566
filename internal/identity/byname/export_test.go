package byname

// Keep bounds what each list keeps, in bytes.
func (s *Service) Keep(bytes int) { s.users.most, s.orgs.most = bytes, bytes }
