// Package docs has the documentation, so that the binary can show it.
package docs

import "embed"

// Files are the pages, as Markdown, and their pictures.
//
//go:embed *.md *.svg
var Files embed.FS
