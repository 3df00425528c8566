package client_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"strongroom/client"
)

// A value shows where Reveal is called, and nowhere else.
func TestSecretIsRedacted(t *testing.T) {
	secret := client.NewSecret("sesame")
	if secret.Reveal() != "sesame" || secret != client.NewSecret("sesame") {
		t.Error("the value is lost")
	}
	set := client.SecretSet{Values: map[string]client.Secret{"db": secret}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "set", set)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "set", set)
	encoded, err := json.Marshal(map[string]any{"secret": secret, "set": set})
	if err != nil {
		t.Fatal(err)
	}
	text := log.String() + string(encoded) + fmt.Sprint(secret, set, &secret, []client.Secret{secret}) +
		fmt.Sprintf("%s %v %+v %#v %q %x %d %#v %+v", secret, secret, secret, secret, secret, secret, secret, set, set)
	if strings.Contains(text, "sesame") || strings.Contains(text, fmt.Sprintf("%x", "sesame")) {
		t.Errorf("it shows: %s", text)
	}
}
