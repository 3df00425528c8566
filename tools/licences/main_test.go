package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestNamesOf: a licence is known by its text, and one that asks for more than its text does is not.
func TestNamesOf(t *testing.T) {
	ours, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const mit = `The MIT License (MIT)
Copyright (c) 2013 Somebody
Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in it without
restriction. The above copyright notice shall be included in all
copies. IN NO EVENT SHALL THE AUTHORS BE LIABLE.`
	more := strings.Repeat(" You shall pay us a tenth of what you earn by it.", 20)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"another licence", "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007" + more, nil},
		{"a licence and other terms", mit + more, nil},
		{"a licence cut off", mit[:len(mit)-60], nil},
		{"MIT", mit, []string{"MIT"}},
		{"our own", string(ours), []string{"Apache-2.0"}},
		{"two", string(ours) + mit, []string{"Apache-2.0", "MIT"}},
	} {
		got := namesOf(tt.text)
		if slices.Sort(got); !slices.Equal(slices.Compact(got), tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
