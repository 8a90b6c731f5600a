package transport

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keyturn/backend/page"
	"keyturn/backend/text"
)

// refusal is why a request gets nowhere. The zero value is no refusal.
type refusal int

const (
	none refusal = iota
	notGET
	notOriginForm
	foreignHost
	unknownPath
	notNavigation
	malformed
	tooLong
	unknownState
	wrongTarget
	foreignUser
	hungUp
	alreadyUsed
	resultGone
	refusals // how many there are
)

// refused says how each refusal is named in the log and answered. The pages are
// all fixed: nothing of a request comes back in one.
var refused = [refusals]struct {
	name   string
	status int
	page   page.Page
}{
	notGET:        {"method", http.StatusMethodNotAllowed, nothingHere},
	notOriginForm: {"request form", http.StatusBadRequest, nothingHere},
	foreignHost:   {"host", http.StatusForbidden, nothingHere},
	unknownPath:   {"path", http.StatusNotFound, nothingHere},
	notNavigation: {"not a navigation", http.StatusForbidden, nothingHere},
	malformed:     {"query", http.StatusBadRequest, brokenLink},
	tooLong:       {"size", http.StatusRequestEntityTooLarge, brokenLink},
	unknownState:  {"state", http.StatusBadRequest, strangeLink},
	wrongTarget:   {"redirect uri", http.StatusBadRequest, strangeLink},
	foreignUser:   {"another user", http.StatusForbidden, anothersBrowser},
	hungUp:        {"hung up", http.StatusForbidden, anothersBrowser},
	alreadyUsed:   {"used already", http.StatusBadRequest, usedLink},
	resultGone:    {"no such result", http.StatusNotFound, goneResult},
}

// refusedPages are the answers, rendered once: refusing is cheap.
var refusedPages = func() (pages [refusals][]byte) {
	for i := none + 1; i < refusals; i++ {
		if p := refused[i].page; p.Heading == "" {
			pages[i] = terse
		} else {
			pages[i] = page.Render(p)
		}
	}
	return pages
}()

// terse is the answer to what no person is looking at.
var terse = []byte("<!doctype html><html lang=en><title>Keyturn</title><p>There is nothing here.\n")

func (l *Loopback) refuse(w http.ResponseWriter, no refusal) {
	l.counts.refused[no].Add(1)
	inFull, stands := l.pace.next(time.Now())
	if stands > 0 {
		l.log.Warn("callback refused", "reason", refused[no].name, "times", stands)
	}
	if no == notGET {
		w.Header().Set("Allow", http.MethodGet)
	}
	body := terse
	if inFull {
		body = refusedPages[no]
	}
	page.Write(w, refused[no].status, body)
}

// inFullPerSecond is how many bad requests a second get a page made for people.
const inFullPerSecond = 10

// pace keeps a flood cheap: beyond inFullPerSecond answers are terse, and there
// is at most one log line a second, which says for how many requests it stands.
type pace struct {
	mu       sync.Mutex
	second   int64
	answered int
	unlogged int
}

func (p *pace) next(now time.Time) (inFull bool, stands int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlogged++
	if s := now.Unix(); s != p.second {
		p.second, p.answered = s, 0
		stands, p.unlogged = p.unlogged, 0
	}
	p.answered++
	return p.answered <= inFullPerSecond, stands
}

// complaints is where net/http complains about connections. What it says may
// quote a request, so it is cleaned, and it is as frequent as requests are, so
// it goes by the same pace.
type complaints struct{ loopback *Loopback }

func (c complaints) Write(line []byte) (int, error) {
	if _, stands := c.loopback.pace.next(time.Now()); stands > 0 {
		first, _, _ := strings.Cut(string(line), "\n")
		c.loopback.log.Warn("callback listener", "says", text.Clean(first, 200), "times", stands)
	}
	return len(line), nil
}

// counts is what happened, for doctor and tests.
type counts struct {
	delivered, unknownUser, evicted atomic.Uint64
	refused                         [refusals]atomic.Uint64
}

// Stats counts what came in since the start.
type Stats struct {
	Delivered   uint64 // genuine responses handed over
	UnknownUser uint64 // of these, connections whose user could not be found out
	ForeignUser uint64 // right state, brought by another user of this machine
	BadState    uint64 // well-formed responses that belong to no attempt
	Reused      uint64 // genuine responses that came again
	Refused     uint64 // all requests that were refused, the above included
	Evicted     uint64 // connections closed to make room
}

// Stats returns the counters.
func (l *Loopback) Stats() Stats {
	s := Stats{
		Delivered:   l.counts.delivered.Load(),
		UnknownUser: l.counts.unknownUser.Load(),
		ForeignUser: l.counts.refused[foreignUser].Load(),
		BadState:    l.counts.refused[unknownState].Load(),
		Reused:      l.counts.refused[alreadyUsed].Load(),
		Evicted:     l.counts.evicted.Load(),
	}
	for i := range l.counts.refused {
		s.Refused += l.counts.refused[i].Load()
	}
	return s
}

func (s Stats) String() string {
	return fmt.Sprintf("%d delivered, %d refused (%d of another user, %d with an unknown state, %d used already), %d evicted",
		s.Delivered, s.Refused, s.ForeignUser, s.BadState, s.Reused, s.Evicted)
}
