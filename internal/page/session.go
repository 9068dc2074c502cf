package page

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	// maxSessions limits the number of sessions. With more, the one that would end
	// first goes.
	maxSessions = 1000
)

// A session is a login.
type session struct {
	who     string
	expires time.Time
	said    *said // shown once, by the next view
}

// said is the result of an action.
type said struct {
	Bad  bool
	Text string
}

// sessions has the current logins. The cookie has the ID; amx keeps only its hash.
type sessions struct {
	now func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// cookieName contains the port. Browsers share cookies between the ports of a host, so two
// programs there would overwrite each other's cookie.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "amx-" + port
	}
	return "amx"
}

// begin starts a session and sets its cookie.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var first [sha256.Size]byte
	for key, one := range s.all {
		if now.After(one.expires) {
			delete(s.all, key)
		} else if f := s.all[first]; f == nil || one.expires.Before(f.expires) {
			first = key
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, first)
	}
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	id := rand.Text()
	s.all[sha256.Sum256([]byte(id))] = &session{who: who, expires: now.Add(sessionLife)}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: id, Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// of returns the session of a request.
func (s *sessions) of(r *http.Request) (*session, bool) {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(c.Value))]
	return one, one != nil && s.now().Before(one.expires)
}

// end forgets the session of a request, and its cookie.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(c.Value)))
	http.SetCookie(w, &http.Cookie{Name: c.Name, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// say keeps a result for the session's next view.
func (s *sessions) say(one *session, bad bool, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.said = &said{bad, text}
}

// heard returns that result, once.
func (s *sessions) heard(one *session) *said {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := one.said
	one.said = nil
	return out
}

func loginURL(back string) string {
	return Prefix + "login?" + url.Values{"back": {back}}.Encode()
}

// loginForm asks for a token or the key.
func (p *Page) loginForm(w http.ResponseWriter, r *http.Request, status int, why string) {
	back := local(r.FormValue("back"))
	p.write(w, status, "login", shell{
		Title: "Log in", Place: p.Place, Version: p.Version,
		// If a browser follows a link from another site, it does not send the strict
		// cookie. The page loads itself again, and then the browser sends it.
		Again: why == "" && r.Header.Get("Sec-Fetch-Site") == "cross-site", Back: back,
		Main: loginModel{Back: back, Why: why, Key: p.Login == nil},
	})
}

type loginModel struct {
	Back, Why string
	Key       bool // a key, not a token
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	who, why := p.Who, ""
	switch given := r.PostForm.Get("token"); {
	case p.Login == nil && !p.isKey(given):
		why = "This is not the key. It is in the line that amx printed at its start."
	case p.Login != nil:
		var err error
		if who, err = p.Login(r.Context(), given); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		p.Log.WarnContext(r.Context(), "login refused", "remote", r.RemoteAddr)
		p.loginForm(w, r, http.StatusForbidden, why)
		return
	}
	p.open(w, r, who, local(r.PostForm.Get("back")))
}

// openByKey takes the key from the address that amx prints, and redirects to the address
// without the key.
func (p *Page) openByKey(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !p.isKey(q.Get("key")) {
		p.loginForm(w, r, http.StatusForbidden, "This key is of an earlier start. The new one is in the line that amx printed at its start.")
		return
	}
	q.Del("key")
	p.open(w, r, p.Who, (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String())
}

func (p *Page) isKey(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(p.Key))
	return p.Key != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (p *Page) open(w http.ResponseWriter, r *http.Request, who, back string) {
	p.sessions.begin(w, r, who)
	p.Log.InfoContext(r.Context(), "login", "who", who, "remote", r.RemoteAddr)
	http.Redirect(w, r, back, http.StatusSeeOther)
}
