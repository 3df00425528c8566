package chain

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/audit"
)

// decode reads a line as encoding/json does, without the hash.
func decode(t testing.TB, body []byte) audit.Record {
	t.Helper()
	var r audit.Record
	d := json.NewDecoder(strings.NewReader(string(body) + "}"))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

func TestEncodeBounds(t *testing.T) {
	long := strings.Repeat("\x00", 5000)
	var keys []string
	for range 5000 {
		keys = append(keys, long)
	}
	r := audit.Record{Seq: 1<<64 - 1, Torn: 1<<63 - 1, Part: 1<<63 - 1, Previous: long, Entry: audit.Entry{
		Time: time.Now(), RequestID: long, UserID: long, User: long, AuthorizationID: long, Session: true,
		Address: long, Action: long, OrgID: long, Keys: keys, Target: long, Detail: long, MadeBy: long,
		Repeated: 1<<63 - 1, Outcome: audit.Outcome(long), Code: long,
	}}
	b := AppendEnd(AppendBody(nil, &r), &Sum{})
	if len(b) > MaxLine {
		t.Errorf("a line of %d bytes", len(b))
	}
	got := decode(t, b[:len(b)-tailLen-1])
	if len(got.Keys) == 0 || len(got.Keys)+got.KeysOmitted != len(keys) {
		t.Errorf("%d keys and %d omitted of %d", len(got.Keys), got.KeysOmitted, len(keys))
	}
	if !strings.HasSuffix(got.User, "…") {
		t.Errorf("a cut name does not say so: %q", got.User)
	}
}

// TestEncodeCutsBetweenCharacters checks every length around the bound.
func TestEncodeCutsBetweenCharacters(t *testing.T) {
	for n := range 40 {
		for _, s := range []string{"a", "é", "𝄞", "\x1b", "\U000e0001", "\xff"} {
			b := AppendString(nil, strings.Repeat(s, n), 20)
			var got string
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%d times %q: %s: %v", n, s, b, err)
			}
			if len(b) > 2+20+len("…") {
				t.Errorf("%d times %q: %d bytes", n, s, len(b))
			}
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("alice", "key", "db/password", uint64(1), true)
	f.Add("\"\\\b\f\n\r\t\x00\x7f", "\u2028\u202e\u0085", "\xff\xc3(\xed\xa0\x80", uint64(0), false)
	f.Add("<&>", "𝄞\U000e0001", strings.Repeat("\x01", 3000), uint64(1<<63), false)
	f.Fuzz(func(t *testing.T, a, b, c string, seq uint64, session bool) {
		r := audit.Record{Seq: seq, Torn: int64(seq >> 1), Previous: c, Entry: audit.Entry{
			Time: time.Unix(int64(seq>>34), int64(seq%1e9)).UTC(), RequestID: b, UserID: a, User: c, AuthorizationID: a,
			Session: session, Address: b, Action: a, OrgID: c, Keys: []string{a, b, c}, KeysOmitted: int(seq % 3),
			Target: b, Outcome: audit.Outcome(c), Code: a,
		}}
		body := AppendBody(nil, &r)
		if !utf8.Valid(body) {
			t.Fatalf("the line %q is not UTF-8", body)
		}
		for _, c := range string(body) {
			if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) {
				t.Fatalf("%q is in the line %q", c, body)
			}
		}
		if max(len(a), len(b), len(c)) > MaxString/12 {
			decode(t, body) // cut or not, it must be JSON
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var want audit.Record
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, decode(t, body)); d != "" {
			t.Errorf("not as encoding/json has it (-want +got):\n%s", d)
		}
	})
}
