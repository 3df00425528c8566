package vault

import (
	"reflect"
	"testing"

	"strongroom/internal/secret/vault/conn"
)

// TestConnectionForgetsNothing: what is said of the connection reaches it, a setting that is new included.
func TestConnectionForgetsNothing(t *testing.T) {
	elsewhere := map[string]bool{
		"Namespace": true, // the place's
		"Files":     true, // is for who makes a connection by itself
	}
	connection := reflect.TypeFor[conn.Config]()
	for i := range connection.NumField() {
		name := connection.Field(i).Name
		if elsewhere[name] {
			continue
		}
		var c Config
		field := reflect.ValueOf(&c).Elem().FieldByName(name)
		if !field.IsValid() {
			t.Errorf("Config has no %s", name)
			continue
		}
		fill(field)
		if reflect.ValueOf(c.Connection()).FieldByName(name).IsZero() {
			t.Errorf("%s does not reach the connection", name)
		}
	}
	if got := (Config{Place: Place{Namespace: "n"}}).Connection().Namespace; got != "n" {
		t.Errorf("the connection is for the namespace %q", got)
	}
}

// fill puts something into the field.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		fill(v.Field(0))
	default:
		v.SetString("x")
	}
}
