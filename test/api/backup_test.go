package api

import (
	"testing"

	"strongroom/test/stack"
)

// backup is the operators' alone. What the copy is worth is tested where it is made, checked and restored.
func backup(t *testing.T, w *world) {
	bob := w.SignIn(t, "bob", bobPassword)
	w.refuse(t, refusal{"a member taking a backup", stack.Request{Method: "GET", Path: "/api/v2/backup/kv",
		Cookie: bob}, 401, "unauthorized", "read:instance"})
	w.must(t, "GET", "/api/v2/backup/kv", "", 200, nil)
}
