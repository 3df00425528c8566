package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"strongroom/internal/kv/bolt/copying"
)

// Whoever has a data file open also has a shared lock on its folder, which stays when the file is removed or
// replaced. One who is about to replace the file takes it alone. Where a file system has no locks on folders,
// that on the file is all.

// Place is where the file of a path is, or would be: what the path leads to where it is a link.
func Place(path string) (place string, fresh bool, err error) {
	place, err = filepath.EvalSymlinks(path)
	if err == nil {
		return place, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	for range 40 { // a link to what is not there
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path, true, nil
}

// Hold keeps every other process off a path, whether there is a file or not, until what it returns is called.
// ErrInUse where one has the file open, or had when it was removed. A file that is damaged so that it cannot
// be opened is no error.
func Hold(path string) (func() error, error) {
	folder, err := lockFolder(path, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	release := func() error { return closeFolder(folder) }
	if folder != nil {
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
func OpenCandidate(candidate string) (*DB, error) { return Open(candidate, Options{held: true}) }

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
	for _, pattern := range []string{CandidatePattern(place), copying.Pattern(place)} {
		before, _ := strings.CutSuffix(pattern, "*")
		for _, e := range entries {
			number, ok := strings.CutPrefix(e.Name(), before)
			if _, err := strconv.ParseUint(number, 10, 64); ok && err == nil && e.Type().IsRegular() {
				os.Remove(filepath.Join(filepath.Dir(place), e.Name())) // what cannot be removed does no harm
			}
		}
	}
}

// lockFolder locks the folder of a file; nil where it cannot be locked. ErrInUse where others have it.
func lockFolder(path string, how int) (*os.File, error) {
	place, _, err := Place(path)
	if err != nil {
		return nil, nil
	}
	folder, err := os.Open(filepath.Dir(place))
	if err != nil {
		return nil, nil
	}
	err = syscall.Flock(int(folder.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		return folder, nil
	}
	folder.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	if how == syscall.LOCK_EX {
		return nil, fmt.Errorf("%s: %w by %s, which has data in this folder; stop that one first", filepath.Dir(place),
			ErrInUse, holder(path))
	}
	return nil, fmt.Errorf("%w: %s is being restored; start again when that is done", ErrInUse, place)
}

func closeFolder(folder *os.File) error {
	if folder == nil {
		return nil
	}
	return folder.Close()
}
