package parts

import (
	"os"
	"path/filepath"
	"testing"

	"strongroom/internal/influxd/command"
)

// TestPassphraseFromCredential finds the passphrase where systemd puts it.
func TestPassphraseFromCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, credential), []byte("correct horse battery"), 0o440); err != nil {
		t.Fatal(err)
	}
	p := command.Process{Env: []string{"CREDENTIALS_DIRECTORY=" + dir}}
	got, err := Passphrase("", p).Ask(t.Context(), false)
	if err != nil || string(got) != "correct horse battery" {
		t.Errorf("%q, %v", got, err)
	}
	if from := Passphrase("/x", p).From; from != "file /x" {
		t.Errorf("a file that is named goes before it: %s", from)
	}
	if from := Passphrase("",
		command.Process{Env: []string{"CREDENTIALS_DIRECTORY=/nowhere"}}).From; from != "terminal" {
		t.Errorf("without either: %s", from)
	}
}
