// Package webui is the way into the local API for a browser of the user's own:
// the same pages as in the window, on a port of 127.0.0.1 that is open only
// after somebody has asked for a link and as long as a session lasts.
//
// Every other page in that browser, every other user of the machine and every
// host name that is made to lead here can knock too. So each request passes, in
// this order: who owns the connection, the exact Host, and for the API the
// origin it comes from and a bearer that only this page knows. There are no
// cookies and no CORS headers.
//
// A link is good once and for a minute. Its secret is in the fragment, which
// no browser sends; the page exchanges it for a session, kept in its own
// memory and sent in Authorization.
package webui

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"keyturn/backend/fault"
)

// How long a way in lasts.
const (
	linkLife    = time.Minute
	idleLife    = 15 * time.Minute
	sessionLife = 12 * time.Hour

	maxLinks    = 16
	maxSessions = 16
	sweepEvery  = 10 * time.Second
)

// Policy is the Content-Security-Policy of the pages, here and in the window:
// they run what was built into this program, and talk to this program.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Options are the parts a UI is built from. All are required.
type Options struct {
	Pages http.Handler // the front end
	API   http.Handler // the API's door for the browser UI
	// Foreign reports whether a connection is another user's, for all that can
	// be known.
	Foreign func(net.Conn) bool
	Log     *slog.Logger
}

// UI is the browser UI of one process. Its methods may be called from any
// goroutine.
type UI struct {
	opts Options

	mu       sync.Mutex
	stopped  bool
	server   *http.Server // nil while closed
	host     string       // 127.0.0.1:PORT, as a browser has to write it
	links    map[secretHash]time.Time
	sessions map[secretHash]*session
}

// secretHash stands for a secret: finding it takes the same time whatever a
// guess has in common with it.
type secretHash [sha256.Size]byte

type session struct{ began, used time.Time }

// New returns a UI that nobody can reach yet.
func New(opts Options) *UI {
	return &UI{opts: opts, links: map[secretHash]time.Time{}, sessions: map[secretHash]*session{}}
}

// Link opens the port, if it is not, and returns an address to open in a
// browser, good once until expires. Errors are *fault.Error.
func (u *UI) Link() (address string, expires time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.openLocked(); err != nil {
		return "", time.Time{}, err
	}
	u.sweepLocked(time.Now())
	if len(u.links) >= maxLinks {
		return "", time.Time{}, fault.New(fault.RateLimited, "%d links that nobody has opened are good already. Open one of them, or wait a minute.", len(u.links))
	}
	link, hash := secret()
	expires = time.Now().Add(linkLife)
	u.links[hash] = expires
	return "http://" + u.host + "/#enter=" + link, expires, nil
}

// End ends every session and link. The port closes soon after: what asked for
// the end may be a page that still waits for its answer.
func (u *UI) End() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.links)
	clear(u.sessions)
}

// Run closes the port when nobody can use it any more, and for good when ctx
// ends.
func (u *UI) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			u.End()
			u.mu.Lock()
			u.stopped = true
			u.closeLocked()
			u.mu.Unlock()
			return nil
		case now := <-tick.C:
			u.mu.Lock()
			u.sweepLocked(now)
			if len(u.links)+len(u.sessions) == 0 {
				u.closeLocked()
			}
			u.mu.Unlock()
		}
	}
}

func (u *UI) sweepLocked(now time.Time) {
	for hash, end := range u.links {
		if now.After(end) {
			delete(u.links, hash)
		}
	}
	for hash, s := range u.sessions {
		if s.ended(now) {
			delete(u.sessions, hash)
		}
	}
}

func (s *session) ended(now time.Time) bool {
	return now.Sub(s.used) > idleLife || now.Sub(s.began) > sessionLife
}

func secret() (text string, hash secretHash) {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	text = base64.RawURLEncoding.EncodeToString(b)
	return text, sha256.Sum256([]byte(text))
}

type foreignKey struct{}

func (u *UI) openLocked() error {
	switch {
	case u.stopped:
		return fault.New(fault.Unreachable, "Keyturn is about to end.")
	case u.server != nil:
		return nil
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fault.Wrap(err, fault.PortInUse, "No port of this computer could be opened for the browser UI.")
	}
	u.host = l.Addr().String()
	u.server = &http.Server{
		Handler:                      u.door(u.host),
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  30 * time.Second,
		IdleTimeout:                  time.Minute,
		MaxHeaderBytes:               16 << 10,
		DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, foreignKey{}, sync.OnceValue(func() bool { return u.opts.Foreign(c) }))
		},
		ErrorLog: slog.NewLogLogger(u.opts.Log.Handler(), slog.LevelDebug),
	}
	go func(s *http.Server) {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			u.opts.Log.Warn("browser UI ended by itself", "err", err)
		}
	}(u.server)
	u.opts.Log.Info("browser UI open", "host", u.host)
	return nil
}

func (u *UI) closeLocked() {
	if u.server == nil {
		return
	}
	u.server.Close()
	u.server, u.host = nil, ""
	u.opts.Log.Info("browser UI closed")
}

// door answers the requests to one host.
func (u *UI) door(host string) http.Handler {
	api := http.StripPrefix("/api", u.opts.API)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case foreign(r):
			refuse(w, http.StatusForbidden, "This is another user's Keyturn.")
		case r.Host != host:
			refuse(w, http.StatusForbidden, "Keyturn is not here under this name.")
		case r.URL.Path != "/api" && !strings.HasPrefix(r.URL.Path, "/api/"):
			u.page(w, r)
		case !ownOrigin(r, host):
			refuse(w, http.StatusForbidden, "This page is not Keyturn's.")
		case r.URL.Path == "/api/session":
			u.enter(w, r)
		case !u.admits(r):
			refuse(w, http.StatusUnauthorized, "This session has ended. Ask Keyturn for a new link.")
		default:
			r.Header.Del("Authorization")
			api.ServeHTTP(w, r)
		}
	})
}

func foreign(r *http.Request) bool {
	is, ok := r.Context().Value(foreignKey{}).(func() bool)
	return !ok || is()
}

// ownOrigin refuses what says that it comes from elsewhere. A program that says
// nothing is held back by the credential.
func ownOrigin(r *http.Request, host string) bool {
	own := "http://" + host
	for _, origin := range r.Header.Values("Origin") {
		if origin != own {
			return false
		}
	}
	for _, from := range r.Header.Values("Referer") {
		if from != own && !strings.HasPrefix(from, own+"/") {
			return false
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" {
			return false
		}
	}
	return true
}

// page serves the front end, which holds nothing of the user's.
func (u *UI) page(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "A page is read, and nothing else.")
		return
	}
	u.opts.Pages.ServeHTTP(w, r)
}

// enter exchanges the secret of a link for a session.
func (u *UI) enter(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, "A session is asked for with POST.")
		return
	case err != nil || media != "application/json":
		refuse(w, http.StatusUnsupportedMediaType, "The body has to be JSON, with Content-Type application/json.")
		return
	}
	var in struct {
		Link string `json:"link"`
	}
	if json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, "The body is not valid JSON.")
		return
	}
	bearer, ok := u.spend(in.Link)
	if !ok {
		refuse(w, http.StatusUnauthorized, "This link was used already, or is older than a minute. Ask Keyturn for a new one.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"session": bearer}) // a browser that has gone asks for a new link
}

func (u *UI) spend(link string) (bearer string, ok bool) {
	hash := secretHash(sha256.Sum256([]byte(link)))
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sweepLocked(now)
	if _, good := u.links[hash]; !good {
		return "", false
	}
	delete(u.links, hash)
	for len(u.sessions) >= maxSessions {
		u.forgetOldestLocked()
	}
	bearer, hash = secret()
	u.sessions[hash] = &session{now, now}
	return bearer, true
}

func (u *UI) forgetOldestLocked() {
	var oldest secretHash
	var at time.Time
	for hash, s := range u.sessions {
		if at.IsZero() || s.used.Before(at) {
			oldest, at = hash, s.used
		}
	}
	delete(u.sessions, oldest)
}

// admits reports whether a request has the bearer of a session.
func (u *UI) admits(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	bearer, ok := strings.CutPrefix(values[0], "Bearer ")
	if !ok {
		return false
	}
	hash := secretHash(sha256.Sum256([]byte(bearer)))
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.sessions[hash]
	if s == nil || s.ended(now) {
		delete(u.sessions, hash)
		return false
	}
	s.used = now
	return true
}

// refuse answers as the API does (RFC 9457), in our own words.
func refuse(w http.ResponseWriter, status int, says string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": says, "code": string(fault.Forbidden)})
}
