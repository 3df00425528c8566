package login

// Remedy says what to do about a token that Vault does not take.
func (s *Session) Remedy() string {
	switch m := s.method; {
	case m.name == Token && m.file != "":
		return "write another to the file of --vault-token-file"
	case m.name == Token:
		return "give another with --vault-token or VAULT_TOKEN"
	default:
		return "it is from a log-in by " + m.name + ": look at the policies, and at the life, of what " + m.at +
			" gives out"
	}
}

// LogInRemedy says what to do about a log-in that Vault refuses.
func (s *Session) LogInRemedy() string {
	switch m := s.method; m.name {
	case Token:
		return s.Remedy()
	case AppRole:
		return "check --vault-auth-role-id, --vault-auth-secret-id (or the files) and --vault-auth-mount against " +
			"the role at " + m.at
	case Kubernetes:
		return "check --vault-auth-role, --vault-auth-jwt-file and --vault-auth-mount against the role at " + m.at +
			", and that Vault reaches Kubernetes (kubernetes_host and token_reviewer_jwt at " + m.at + "/config)"
	case JWT:
		return "check --vault-auth-role, --vault-auth-jwt-file and --vault-auth-mount against the role at " + m.at
	case Cert:
		return "check that the certificate of --vault-client-cert is one that " + m.at +
			" knows (--vault-auth-mount, --vault-auth-role)"
	default:
		return "check --vault-auth-username, --vault-auth-password-file and --vault-auth-mount against the user at " +
			m.at
	}
}
