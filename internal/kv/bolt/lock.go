package bolt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"strongroom/internal/kv/bolt/copying"
	"strongroom/internal/kv/bolt/folder"
)

// Place is where the file of a path is, or would be: what the path leads to where it is a link.
func Place(path string) (place string, fresh bool, err error) { return folder.Place(path) }

// Hold keeps every other process off a path, whether there is a file or not, until what it returns is called.
// ErrInUse where one has the file open, or had when it was removed. A file that is damaged so that it cannot
// be opened is no error.
func Hold(path string) (func() error, error) {
	lock, err := folder.Alone(path)
	if err != nil {
		return nil, err
	}
	release := lock.Close
	if lock.Held() {
		removeLeftovers(path)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return release, nil
	}
	db, err := Open(path, Options{held: true})
	if errors.Is(err, ErrInUse) {
		return nil, errors.Join(err, release())
	}
	if err != nil {
		return release, nil
	}
	return func() error { return errors.Join(db.Close(), release()) }, nil
}

// CandidatePattern is what is named a file beside the data file of a path that may take its place: os.CreateTemp makes
// one. Only who holds the path may have one; what is left of one who was killed goes with the next Open or Hold.
func CandidatePattern(path string) string { return filepath.Base(path) + ".restore-*" }

// OpenCandidate opens a file that CandidatePattern has named, for who holds the path that it may take the place of.
func OpenCandidate(candidate string) (*DB, error) {
	return Open(candidate, Options{held: true, unnoted: true})
}

// removeLeftovers removes what killed processes have left. The caller has the folder's lock.
func removeLeftovers(path string) {
	place, _, err := Place(path)
	if err != nil {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(place))
	if err != nil {
		return
	}
	for _, pattern := range []string{CandidatePattern(place), copying.Pattern(place), folder.HolderPattern(place)} {
		before, _ := strings.CutSuffix(pattern, "*")
		for _, e := range entries {
			number, ok := strings.CutPrefix(folder.OfHolder(e.Name()), before)
			if _, err := strconv.ParseUint(number, 10, 64); ok && err == nil && e.Type().IsRegular() {
				os.Remove(filepath.Join(filepath.Dir(place), e.Name())) // what cannot be removed does no harm
			}
		}
	}
}
