package session

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"strongroom/client"
)

// unknownIdentity is what the server says to a token or a password it does not know. A permission that is missing reads
// otherwise, and so needs other help.
const unknownIdentity = "unauthorized access"

// explain adds a line that says what to do next to an error whose own text, or the library's, does not.
func (s *Session) explain(err error) error {
	var refused *client.Error
	var certificate *tls.CertificateVerificationError
	overHTTP := strings.HasPrefix(s.Client.Host(), "http://")
	switch {
	case err == nil:
		return nil
	case errors.As(err, &certificate):
		return fmt.Errorf(
			"%w\nTo trust the certificate, name its file or its authority's with SSL_CERT_FILE; "+
				"--skip-verify takes any certificate",
			err,
		)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w\nThe server speaks no TLS there; does its address begin with http://?", err)
	case !errors.As(err, &refused):
		return err
	case refused.StatusCode == http.StatusBadRequest && refused.Code == "" && overHTTP:
		return fmt.Errorf("%w\nA server with TLS answers so; does its address begin with https://?", err)
	case refused.StatusCode == http.StatusUnauthorized && refused.Message == unknownIdentity:
		return fmt.Errorf("%w\n%s", err, s.unknown)
	}
	return err
}

// DoesNotOpen reports whether the server failed at showing something, as it does where its record is damaged: that can
// be deleted all the same.
func DoesNotOpen(err error) bool {
	var failed *client.Error
	return errors.As(err, &failed) && failed.StatusCode == http.StatusInternalServerError
}

// WhoMayUse says what to do where the server gives no values to this token. A token that does not read is denied as one
// that reads and does not use.
func WhoMayUse(err error) error {
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == client.CodeUnauthorized {
		return fmt.Errorf("%w\nValues are given to tokens that may use them: influx auth create --use-secret KEY", err)
	}
	return err
}
