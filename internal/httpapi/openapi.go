package httpapi

import (
	_ "embed"
	"net/http"
)

// openAPI describes everything that routes serves; the tests hold the two against each other.
//
//go:embed openapi.json
var openAPI []byte

func (a *API) getOpenAPI(w http.ResponseWriter, r *request) error {
	writeBytes(w, http.StatusOK, openAPI)
	return nil
}
