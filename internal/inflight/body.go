package inflight

import "io"

// BodyCost is how much memory a byte of a body takes in all: as it is read, decoded, sealed and written.
const BodyCost = 6

// ReadBody reads a body as it comes, and has its memory held before it takes it: what is announced and not sent takes
// none. Announced is how long it is said to be, -1 where that is not known. The buffers that the body outgrew are
// wiped, since there may be values in them.
func ReadBody(body io.Reader, announced int64, hold func(bytes int64) error) ([]byte, error) {
	b := make([]byte, 0, 512)
	if announced > 0 && announced < 4<<10 {
		b = make([]byte, 0, announced+1)
	}
	if err := hold(BodyCost * int64(cap(b))); err != nil {
		return nil, err
	}
	for {
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err == nil && len(b) == cap(b) {
			if err = hold(BodyCost * int64(cap(b))); err == nil {
				larger := make([]byte, len(b), 2*cap(b))
				copy(larger, b)
				clear(b)
				b = larger
			}
		}
		if err != nil {
			clear(b)
			return nil, err
		}
	}
}
