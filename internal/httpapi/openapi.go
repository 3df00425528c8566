package httpapi

import (
	_ "embed"
	"net/http"
	"strongroom/internal/httpapi/exchange"
)

// openAPI describes everything that routes serves; the tests hold the two against each other.
//
//go:embed openapi.json
var openAPI []byte

func getOpenAPI(w http.ResponseWriter, r *exchange.Request) error {
	exchange.WriteBytes(w, http.StatusOK, openAPI)
	return nil
}
