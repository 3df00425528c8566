package byname

// Keep bounds what each list keeps, in bytes, and up to how many members are read by themselves.
func (s *Service) Keep(bytes, few int) { s.users.most, s.orgs.most, s.few = bytes, bytes, few }
