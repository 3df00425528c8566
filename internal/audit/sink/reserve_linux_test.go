package sink_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/audit/sink"
	"strongroom/internal/audit/verify"
	"strongroom/internal/errs"
)

// TestReserveOnFullDisk: when the disk is full, changes are refused at once, reading goes on for a while, and operators
// can act after that. Health tells it. When there is room again, all goes on.
func TestReserveOnFullDisk(t *testing.T) {
	sink.OnSmallDisk(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "audit.log")
		key := bytes.Repeat([]byte{7}, 32)
		l, err := auditlog.Open(auditlog.Config{Sinks: []string{path}, ChainKey: key})
		if err != nil {
			t.Fatal(err)
		}
		fill := filepath.Join(dir, "fill")
		f, err := os.Create(fill)
		if err != nil {
			t.Fatal(err)
		}
		for chunk := make([]byte, 4096); err == nil; _, err = f.Write(chunk) {
		}
		f.Close()
		entry := func(r audit.Reserve) audit.Entry {
			return audit.Entry{RequestID: "r1", UserID: "031c8cbefe101000", User: "alice", Action: "secrets.apply",
				OrgID: "031c8cbefe103000", Outcome: audit.Allowed, Keys: []string{strings.Repeat("k", 1000)}, Reserve: r}
		}
		refused := func(e audit.Entry) bool {
			t.Helper()
			err := l.Record(t.Context(), e)
			if err != nil && !errs.Is(err, errs.Unavailable) {
				t.Fatal(err)
			}
			return err != nil
		}
		n := 0
		for ; !refused(entry(audit.ReserveNone)); n++ { // the step ahead of the reserve
			if n > sink.ReserveStep/1000 {
				t.Fatal("a change may use the reserve")
			}
		}
		if h := l.Health(t.Context()); !h.OK || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "full") {
			t.Errorf("health: %+v", h)
		}
		reads := 0
		for ; !refused(entry(audit.ReserveReads)); reads++ {
		}
		if reads < sink.ReserveSize/2/1500 {
			t.Errorf("%d lines about reading were written", reads)
		}
		for range 1000 {
			if refused(entry(audit.ReserveAll)) {
				t.Fatal("an operator's act is refused")
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if h := l.Health(t.Context()); !h.OK || len(h.Problems) != 0 {
			t.Errorf("health with room again: %+v", h)
		}
		for range 1000 {
			if refused(entry(audit.ReserveNone)) {
				t.Fatal("a change is refused though there is room again")
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil || st.Blocks*512 > st.Size+sink.LeastStep {
			t.Errorf("after the end, the file of %d bytes takes %d: %v", st.Size, st.Blocks*512, err)
		}
		if err := verify.Files(t.Context(), []string{path}, key, verify.Expect{}, io.Discard); err != nil {
			t.Error(err)
		}
	})
}
