// Package docs has the documentation, so that the binary can show it.
package docs

import "embed"

// Files are the pages, as Markdown.
//
//go:embed *.md
var Files embed.FS
