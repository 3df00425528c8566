package visit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/ui/words"
)

// view is what a template gets.
type view struct {
	Title    string
	Place    string // the organisation that the page is of, for the title
	Base     string // the path below which the server is, "" for the root
	Theme    string
	Note     note    // of what was just done
	Error    Refusal // of what was just refused
	User     string  // "" where nobody is signed in
	UserID   string
	Operator bool
	Owner    bool   // of the organisation
	Org      string // ID
	OrgName  string
	Wide     bool
	Section  string // the entry of the menu
	At       string // path of the organisation's pages
	Version  string
	Now      time.Time
	Page     any
}

func (s *Server) parseTemplates() (map[string]*template.Template, error) {
	funcs := template.FuncMap{
		"static": s.static.path, "date": func(t time.Time) string {
			return t.UTC().Format("2 January 2006")
		}, "ago": func(t time.Time) string { return words.Ago(t, s.Now()) }, "exact": words.Exact, "stamp": words.Stamp,
		"count": words.Count, "number": words.Number, "bytes": words.Size, "unseen": words.Unseen,
		"detail": words.Detail, "tried": words.Tried, "maxBody": func() int64 { return s.MaxBody },
	}
	base, err := template.New("base").Funcs(funcs).ParseFS(s.Files, "templates/base.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(s.Files, "templates")
	if err != nil {
		return nil, err
	}
	all := make(map[string]*template.Template)
	for _, e := range entries {
		t, err := template.Must(base.Clone()).ParseFS(s.Files, "templates/"+e.Name())
		if err != nil {
			return nil, err
		}
		all[e.Name()] = t
	}
	return all, nil
}

// write shows the answer, or the error.
func (s *Server) write(v *Visit, a Answer, err error) {
	switch {
	case err != nil && v.live:
		s.writeLiveError(v, err)
	case v.crowded && errs.Is(err, errs.Unavailable):
		v.busy(words.Sentence(errs.Message(err)))
	case err != nil && a.Page == "":
		setRetry(v.w.Header(), err)
		f := failure{Refusal: s.refusal(v, err)}
		if v.Method == http.MethodGet && errs.Is(err, errs.Unavailable) {
			f.Again = v.URL.RequestURI()
		}
		a = Answer{Page: "error.html", Title: errorTitle(err), Data: f}
		s.show(v, a, errs.CodeOf(err).Status(), Refusal{})
	case err != nil:
		setRetry(v.w.Header(), err)
		s.show(v, a, errs.CodeOf(err).Status(), s.refusal(v, err))
	case a.JSON != nil:
		s.send(v, a.JSON)
	case a.File != nil:
		if len(a.File.Body) > heldPage && !v.holds(len(a.File.Body)) {
			return
		}
		v.w.Header().Set("Content-Type", a.File.Type)
		v.w.Header().Set("Content-Disposition", `attachment; filename="`+a.File.Name+`"`)
		v.w.Header().Set("Content-Length", strconv.Itoa(len(a.File.Body)))
		v.left()
		_, _ = v.w.Write(a.File.Body) // the reader is gone where this fails
	case a.GoTo != "":
		if a.Note != "" {
			b, _ := json.Marshal(note{a.Note, a.Undo}) // texts and numbers always encode
			v.setCookie(noteCookie, base64.RawURLEncoding.EncodeToString(b), time.Minute)
		}
		to := a.GoTo
		if strings.HasPrefix(to, "/") {
			to = v.via.Base + to
		}
		if v.live {
			v.w.Header().Set("Strongroom-Go", to)
			v.w.WriteHeader(http.StatusNoContent)
			return
		}
		v.w.Header().Set("Location", to)
		v.w.WriteHeader(http.StatusSeeOther)
	default:
		s.show(v, a, max(a.Status, http.StatusOK), Refusal{})
	}
}

// refusal says what an error is for the reader.
func (s *Server) refusal(v *Visit, err error) Refusal {
	if s.Refusal == nil {
		return Refusal{Text: words.Sentence(errs.Message(err))}
	}
	return s.Refusal(v, err)
}

// writeLiveError answers app.js in the API's form, with where a link leads to.
func (s *Server) writeLiveError(v *Visit, err error) {
	w, r := v.w, s.refusal(v, err)
	setRetry(w.Header(), err)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(errs.CodeOf(err).Status())
	told := map[string]string{"code": string(errs.CodeOf(err)), "message": strings.TrimSpace(r.Text + " " + r.Advice)}
	if r.Path != "" {
		told["path"], told["link"] = v.via.Base+r.Path, r.Link
	}
	b, _ := json.Marshal(told) // strings always encode
	_, _ = w.Write(b)          // the reader is gone where this fails
}

// failure is the page of an error that has no page of its own.
type failure struct {
	Refusal
	Again string // what to load once more, where that may help
}

func setRetry(h http.Header, err error) {
	var e *errs.Error
	switch {
	case !errors.As(err, &e):
	case e.RetryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	case outOfReach(err):
		h.Set("Retry-After", "5") // as app.js does
	}
}

// outOfReach reports whether the server's own data are, for now.
func outOfReach(err error) bool {
	return errors.Is(err, kv.ErrUnavailable) && !errors.Is(err, kv.ErrUnknown)
}

func errorTitle(err error) string {
	switch errs.CodeOf(err) {
	case errs.NotFound:
		return "Not found"
	case errs.Unauthorized, errs.Forbidden:
		return "Not allowed"
	case errs.Unavailable:
		return "Not available"
	case errs.Internal:
		return "Something went wrong"
	}
	return "That did not work"
}

func (s *Server) show(v *Visit, a Answer, status int, refused Refusal) {
	d := view{Title: a.Title, Base: v.via.Base, Theme: v.Theme(), Error: refused, Section: section(a.Page, v.URL.Path),
		Version: s.Version, Now: s.Now(), Page: a.Data, Wide: a.Wide}
	if v.Session != "" {
		d.User, d.UserID, d.Operator = v.Caller.User, v.Caller.UserID.String(), v.Operator()
		if v.Org.Valid() {
			d.Org, d.OrgName, d.At = v.Org.String(), v.OrgName, v.At("")
			d.Owner = v.Caller.May(access.To(access.Write, access.Resource{Type: access.Orgs, ID: v.Org}))
			if v.PathValue("org") != "" {
				d.Place = v.OrgName
			}
		}
	}
	if c, err := v.Cookie(noteCookie); err == nil && v.Method == http.MethodGet {
		if b, err := base64.RawURLEncoding.DecodeString(c.Value); err == nil {
			_ = json.Unmarshal(b, &d.Note) // the browser's own: what it has spoilt is not shown
		}
		v.setCookie(noteCookie, "", -1)
	}
	var page []byte
	var err error
	if !v.make(func() { page, err = s.page(a.Page, d) }) {
		return
	}
	if err != nil {
		s.Logger.Error("a page could not be made", "request", v.ID, "page", a.Page, "error", err)
		http.Error(v.w, "an internal error has occurred; the server's log has the details",
			http.StatusInternalServerError)
		return
	}
	if len(page) > heldPage && !v.holds(len(page)) {
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// A page whose address has no query and that tells of nothing just done repeats no text of the request. One that
	// answers a form may hold a token.
	may := v.Method == http.MethodGet && v.URL.RawQuery == "" && d.Note.Text == ""
	if !v.make(func() { page = v.fit(page, may) }) {
		return
	}
	v.left()
	v.w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(page) // the reader is gone where this fails
}

// page makes a page of what it shows.
func (s *Server) page(name string, d view) ([]byte, error) {
	var b bytes.Buffer
	err := s.templates[name].ExecuteTemplate(&b, "base", d)
	return below(b.Bytes(), d.Base), err
}

// send answers with data. A browser that has them already is told so.
func (s *Server) send(v *Visit, b []byte) {
	sum := sha256.Sum256(b)
	tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
	h := v.w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if v.Header.Get("If-None-Match") == tag {
		v.w.WriteHeader(http.StatusNotModified)
		return
	}
	if len(b) > heldPage && !v.holds(len(b)) {
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	if !v.make(func() { b = v.fit(b, v.URL.RawQuery == "") }) {
		return
	}
	v.left()
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = v.w.Write(b) // the reader is gone where this fails
}

// holds counts an answer for what the visit holds while it is sent. Where there is no room it answers so.
func (v *Visit) holds(size int) bool {
	if v.share.More(int64(size)) == nil {
		return true
	}
	v.busy("too much is under way just now; load the page again in a moment")
	return false
}

// note is what a page says first: what was just done.
type note struct {
	Text string
	Undo *Undo `json:",omitempty"`
}

// heldPage is from which size on a page, in bytes, counts for what the request holds while it is sent.
const heldPage = 64 << 10

// below has all links of a page lead to where the server is. The templates write them as from the root. What a page
// shows has no quotation mark as such (html/template escapes it), so that nothing but an attribute looks like one.
func below(page []byte, base string) []byte {
	if base == "" {
		return page
	}
	for _, attribute := range []string{"href", "action", "formaction", "src", "data-base", "data-at"} {
		begins := " " + attribute + `="`
		page = bytes.ReplaceAll(page, []byte(begins+"/"), []byte(begins+base+"/"))
	}
	return page
}

// section is the menu's entry that the page belongs to. A question before a deletion, and what is said in place of a
// page, belong where their path lies.
func section(page, path string) string {
	first, _, _ := strings.Cut(strings.TrimSuffix(page, ".html"), "-")
	if first == "confirm" || first == "error" {
		parts := strings.Split(path, "/")
		if first = parts[1]; first == "orgs" && len(parts) > 3 {
			first = parts[3]
		}
	}
	switch first {
	case "delete":
		return "org"
	case "doc":
		return "docs"
	case "compare":
		return "org"
	case "due":
		return "orgs"
	case "secret", "import":
		return "secrets"
	case "token":
		return "tokens"
	case "user":
		return "users"
	}
	return first
}
