package visit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// static are the static files under names that hold a hash of what is in them, so that browsers may keep them for ever.
type static struct {
	byHashed map[string][]byte
	zipped   map[string][]byte
	hashed   map[string]string // by plain name: the path
}

// openStatic reads the folder static.
func openStatic(all fs.FS) (*static, error) {
	f := &static{byHashed: make(map[string][]byte), zipped: make(map[string][]byte), hashed: make(map[string]string)}
	entries, err := fs.ReadDir(all, "static")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(all, "static/"+e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		f.byHashed[name], f.zipped[name], f.hashed[e.Name()] = b, zipped(b), "/static/"+name
	}
	return f, nil
}

// path is where the file is served, for the templates.
func (f *static) path(name string) (string, error) {
	p, ok := f.hashed[name]
	if !ok {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return p, nil
}

func (f *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	b, ok := f.byHashed[name]
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Vary", "Accept-Encoding")
	if acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		b = f.zipped[name]
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}
