package visit

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// smallest is from how many bytes on something is worth compressing: less fits one packet.
const smallest = 1400

// acceptsGzip reports whether the browser reads gzip.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that there is
	return z
}}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&out)
	_, _ = z.Write(b) // a buffer takes all
	_ = z.Close()
	return out.Bytes()
}

// fit compresses what is sent where the browser reads that. The length of what is compressed tells something of it to
// those who watch the line and choose a text in it: the caller says whether that can be.
func (v *Visit) fit(b []byte, may bool) []byte {
	if !may || len(b) < smallest {
		return b
	}
	v.w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(v.Request) {
		return b
	}
	v.w.Header().Set("Content-Encoding", "gzip")
	return zipped(b)
}
