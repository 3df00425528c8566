package influxd

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// backupsEnv is how many backups TestBackupsWhateverGoesOn makes; make backups has 500.
const backupsEnv = "STRONGROOM_BACKUPS"

// busy does something over and over until it is stopped.
type busy struct {
	t     *testing.T
	s     *running
	token string
	stop  chan struct{}
	group sync.WaitGroup
}

func (b *busy) does(f func(n int)) {
	b.group.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-b.stop:
				return
			default:
				f(n)
			}
		}
	})
}

// ask makes a request that others may get in the way of: only what the server must not answer is an error.
func (b *busy) ask(method, path, body string) string {
	req, err := http.NewRequest(method, b.s.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return ""
	}
	req.Header.Set("Authorization", "Token "+b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 500 && res.StatusCode != 503 {
		b.t.Errorf("%s %s: %s %v", method, path, res.Status, err)
	}
	return string(answer)
}

// TestBackupsWhateverGoesOn copies while organisations come and go with their secrets and tokens, changes of several
// transactions are made, keys are rotated and the seal is changed. Each copy is restored, and has every change whole.
func TestBackupsWhateverGoesOn(t *testing.T) {
	t.Parallel()
	want, until := 500, time.Now().Add(time.Hour)
	if n, err := strconv.Atoi(os.Getenv(backupsEnv)); err == nil {
		want = n
	} else {
		until = time.Now().Add(4 * time.Second)
	}
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	agent, values := s.agent(t, token, secrets)
	const names = 400
	change := func(n int) string {
		var body strings.Builder
		for i := range names {
			fmt.Fprintf(&body, `,"large%d":"%d"`, i, n)
		}
		return "{" + body.String()[1:] + "}"
	}
	s.call(t, "PATCH", secrets, token, change(0), 204, nil)
	b := &busy{t: t, s: s, token: token, stop: make(chan struct{})}
	keyFiles := []string{filepath.Join(dir, "seal.key"), filepath.Join(dir, "other.key")}
	b.does(func(n int) { b.ask("PATCH", secrets, change(n)) })
	b.does(func(n int) {
		b.ask("POST", "/api/v2/seal/rotate", "")
		time.Sleep(20 * time.Millisecond)
		b.ask("POST", "/api/v2/seal/change", `{"type":"key-file","keyFile":"`+keyFiles[n%2]+`"}`)
	})
	b.does(func(n int) {
		_, rest, _ := strings.Cut(b.ask("POST", "/api/v2/orgs", fmt.Sprintf(`{"name":"org %d"}`, n)), `"id":"`)
		org, _, _ := strings.Cut(rest, `"`)
		b.ask("PATCH", "/api/v2/orgs/"+org+"/secrets", change(n))
		b.ask("POST", "/api/v2/authorizations",
			`{"orgID":"`+org+`","permissions":[{"action":"read","resource":{"type":"secrets","orgID":"`+org+`"}}]}`)
		b.ask("POST", "/api/v2/orgs/"+org+"/secrets/delete", `{"secrets":["large1","large2"]}`)
		b.ask("POST", "/api/v2/users", fmt.Sprintf(`{"name":"user %d"}`, n))
		b.ask("DELETE", "/api/v2/orgs/"+org, "")
	})
	restored := 0
	for restored < want && (time.Now().Before(until) || restored < 3) && !t.Failed() {
		backup := backupOf(t, s, token)
		var errs []string
		elsewhere, opened := t.TempDir(), false
		for _, key := range keyFiles { // the seal of that moment
			raw, err := os.ReadFile(key)
			if err != nil {
				continue
			}
			must(t, os.WriteFile(filepath.Join(elsewhere, "seal.key"), raw, 0o600))
			out, _, err := influxdOn(t, elsewhere, "restore", "--from", backup)
			if opened = err == nil; opened {
				break
			}
			errs = append(errs, fmt.Sprint(err, "\n", out))
		}
		if !opened {
			t.Errorf("backup %d was not restored:\n%s", restored, strings.Join(errs, "\n"))
			break
		}
		other := start(t, elsewhere)
		var got map[string]string
		other.call(t, "GET", values, agent, "", 200, &got)
		for name, value := range got {
			if value != got["large0"] {
				t.Errorf("backup %d: %s is of change %s, and large0 of %s", restored, name, value, got["large0"])
			}
		}
		if len(got) != names {
			t.Errorf("backup %d: %d secrets of %d", restored, len(got), names)
		}
		other.end(t)
		must(t, os.RemoveAll(elsewhere))
		must(t, os.Remove(backup))
		restored++
	}
	close(b.stop)
	b.group.Wait()
	t.Logf("%d backups", restored)
}
