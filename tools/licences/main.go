// Command licences lists the modules that the programs are made of, with the licence of each, and ends with 1 where one
// is not allowed. With -texts it writes the texts of all of them, as the licences ask of whoever passes the programs
// on.
//
//	go -C tools run ./licences ./cmd/influxd ./cmd/influx
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// licence is known by sentences of its text, all of them in this order, and by how long a file is that has nothing
// else.
type licence struct {
	name      string
	sentences []string
	words     int
}

// allowed are the licences that a module of the programs may have: those that ask for no more than that their text and
// notices are passed on, and the MPL, which asks for its own files' source alone.
var allowed = []licence{
	{"Apache-2.0", []string{"Apache License Version 2.0, January 2004", "Grant of Patent License",
		"END OF TERMS AND CONDITIONS"}, 1800},
	{"MPL-2.0", []string{"Mozilla Public License, version 2.0", "Disclaimer of Warranty",
		"Exhibit B"}, 2600},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms",
		"must retain the above copyright notice", "must reproduce the above copyright notice", "either the name",
		"IN NO EVENT SHALL"}, 280},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms",
		"must retain the above copyright notice", "must reproduce the above copyright notice",
		"IN NO EVENT SHALL"}, 250},
	{"MIT", []string{"Permission is hereby granted, free of charge, to any person obtaining a copy",
		"shall be included in all copies", "IN NO EVENT SHALL"}, 210},
	{"ISC", []string{"Permission to use, copy, modify, and/or distribute this software for any purpose",
		"IN NO EVENT SHALL"}, 170},
	// What a file says that names the licence and leaves its text out.
	{"Apache-2.0", []string{"Licensed under the Apache License, Version 2.0",
		"limitations under the License"}, 200},
}

// targets are the systems of a release: what is linked differs between them.
var targets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

func main() {
	texts := flag.Bool("texts", false, "write the texts of the licences")
	flag.Parse()
	if err := run(os.Stdout, flag.Args(), *texts); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

type module struct{ path, version, dir string }

func run(out io.Writer, packages []string, texts bool) error {
	if len(packages) == 0 {
		return errors.New("name the packages of the programs, such as ./cmd/influxd")
	}
	modules, err := linked(packages)
	if err != nil {
		return err
	}
	if texts {
		return writeTexts(out, modules)
	}
	var unknown []string
	fmt.Fprintf(out, "| module | version | licence |\n|---|---|---|\n")
	for _, m := range modules {
		files, err := m.legal("licen", "copying")
		if err != nil {
			return err
		}
		var names []string
		for _, f := range files {
			found := namesOf(f.text)
			if len(found) == 0 {
				unknown = append(unknown, m.path+"/"+f.name)
			}
			names = append(names, found...)
		}
		if len(files) == 0 {
			unknown = append(unknown, m.path+", which has no file with its licence")
		}
		slices.Sort(names)
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", m.path, m.version, strings.Join(slices.Compact(names), " and "))
	}
	if len(unknown) > 0 {
		return fmt.Errorf("read these, and allow what may be allowed: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// linked gives the modules whose packages any of the targets links, the product's own and Go's left out.
func linked(packages []string) ([]module, error) {
	found := make(map[string]module)
	for _, target := range targets {
		system, arch, _ := strings.Cut(target, "/")
		list := exec.Command("go", append([]string{"list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}"}, packages...)...)
		list.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0")
		list.Dir = ".." // the product's module; this program is run in its own
		var said bytes.Buffer
		list.Stderr = &said
		b, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w: %s", err, said.String())
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
				found[f[0]] = module{f[0], f[1], f[2]}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b module) int { return cmp.Compare(a.path, b.path) }), nil
}

// namesOf gives the licences whose texts a file is made of; none where it has more than them.
func namesOf(text string) (names []string) {
	text = plain(text)
	room := 0
	for _, l := range allowed {
		if l.name == "BSD-2-Clause" && slices.Contains(names, "BSD-3-Clause") {
			continue // which has all of its sentences
		}
		rest, whole := text, true
		for _, sentence := range l.sentences {
			_, after, found := strings.Cut(rest, plain(sentence))
			if !found {
				whole = false
				break
			}
			rest = after
		}
		if whole {
			names = append(names, l.name)
			room += l.words
		}
	}
	if len(strings.Fields(text)) > room {
		return nil
	}
	return names
}

var noWord = regexp.MustCompile(`[^a-z0-9.]+`)

// plain is a text as its words alone, in small letters.
func plain(s string) string {
	return strings.TrimSpace(noWord.ReplaceAllString(strings.ToLower(s), " "))
}

type file struct{ name, text string }

// legal gives the module's files whose names begin so, in any case.
func (m module) legal(beginnings ...string) (found []file, err error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		begins := func(b string) bool { return strings.HasPrefix(strings.ToLower(e.Name()), b) }
		if e.IsDir() || strings.HasSuffix(e.Name(), ".go") || !slices.ContainsFunc(beginnings, begins) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		found = append(found, file{e.Name(), string(bytes.TrimSpace(b))})
	}
	return found, nil
}

func writeTexts(out io.Writer, modules []module) error {
	fmt.Fprintf(out, "The programs are made of the following modules, beside their own code. Each is under the "+
		"licence that stands below its name.\n")
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	library := module{"Go's standard library", runtime.Version(), strings.TrimSpace(string(root))}
	for _, m := range append([]module{library}, modules...) {
		files, err := m.legal("licen", "copying", "notice", "patents", "copyright")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%s\n%s %s\n", strings.Repeat("=", 80), m.path, m.version)
		for _, f := range files {
			fmt.Fprintf(out, "\n%s:\n\n%s\n", f.name, f.text)
		}
	}
	return nil
}
