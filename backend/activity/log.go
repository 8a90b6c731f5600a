package activity

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

const (
	// most is how many events there are, in memory and after a restart.
	most = 2000
	// foldWithin is how long alike reads are one event.
	foldWithin = time.Minute
	// pace is the least time between two writes, and between two rings.
	pace = time.Second
	// patience is how long a disk that refused is left alone.
	patience = 10 * time.Second
)

// Log keeps events. Its methods may be called from any goroutine, and on nil,
// where they do nothing.
type Log struct {
	file file // Run's own
	log  *slog.Logger
	wake chan struct{} // of size one: there is something to write

	mu       sync.Mutex
	off      bool
	lastID   uint64
	events   []*entry         // oldest first
	recent   map[alike]*entry // what may still grow
	families map[family]*int  // how many places each has
	bells    map[chan struct{}]struct{}
}

// entry is an event in memory.
type entry struct {
	Event
	key    alike // before its words were cleaned
	places *int  // of its family
	dirty  bool  // not on disk as it is
}

// Open returns the log at path with what an earlier run left there. A log that
// cannot be read begins anew; no log is a reason not to start.
func Open(path string, log *slog.Logger) *Log {
	l := &Log{
		file:     file{path: path},
		log:      log,
		wake:     make(chan struct{}, 1),
		recent:   map[alike]*entry{},
		families: map[family]*int{},
		bells:    map[chan struct{}]struct{}{},
	}
	found, err := l.file.read()
	if err != nil {
		log.Warn("the activity log cannot be read and begins anew", "path", path, "err", err)
	}
	for _, e := range found {
		e.clean()
		l.lastID = e.ID
		l.keepLocked(&entry{Event: e})
	}
	return l
}

// Switch turns recording on or off. What was recorded stays.
func (l *Log) Switch(on bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off == on {
		l.off = !on
		l.wakeUp()
	}
}

// Add records an event, now when it does not say when. It never waits for the
// disk and may be called under any mutex.
func (l *Log) Add(e Event) {
	if l == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := alikeOf(&e)
	if l.off || l.growLocked(key, &e) {
		return
	}
	e.clean()
	l.lastID++
	e.ID = l.lastID
	added := &entry{Event: e, key: key, dirty: true}
	l.keepLocked(added)
	if e.Kind.foldable() {
		l.recent[key] = added
	}
	l.wakeUp()
}

// Again counts e when it is alike an event of the last minute, and reports
// whether there is nothing left to add. Of an event of a connection it needs
// neither provider nor account.
func (l *Log) Again(e Event) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off || l.growLocked(alikeOf(&e), &e)
}

// growLocked makes e a part of an alike event. Callers hold mu.
func (l *Log) growLocked(key alike, e *Event) bool {
	was := l.recent[key]
	if was == nil {
		return false
	}
	if since := e.At.Sub(was.At); since < 0 || since >= foldWithin {
		delete(l.recent, key)
		return false
	}
	was.Count += max(1, e.Count)
	was.Until = moment(e.At)
	was.PID = e.PID
	if !was.dirty {
		was.dirty = true
		l.wakeUp()
	}
	return true
}

// keepLocked gives e a place. Callers hold mu, or are alone.
func (l *Log) keepLocked(e *entry) {
	f := familyOf(&e.Event)
	if l.families[f] == nil {
		l.families[f] = new(int)
	}
	e.places = l.families[f]
	*e.places++
	l.events = append(l.events, e)
	if len(l.events) > most {
		l.dropLocked()
	}
}

// dropLocked lets go of the oldest event of the largest family.
func (l *Log) dropLocked() {
	at := 0
	for i, e := range l.events {
		if *e.places > *l.events[at].places {
			at = i
		}
	}
	gone := l.events[at]
	if l.recent[gone.key] == gone {
		delete(l.recent, gone.key)
	}
	if *gone.places--; *gone.places == 0 {
		delete(l.families, familyOf(&gone.Event))
	}
	copy(l.events[at:], l.events[at+1:])
	l.events[len(l.events)-1] = nil
	l.events = l.events[:len(l.events)-1]
}

func (l *Log) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Recent returns the events that q picks, newest first.
func (l *Log) Recent(q Query) []Event {
	found := []Event{}
	if l == nil {
		return found
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.events) - 1; i >= 0; i-- {
		if q.Limit > 0 && len(found) == q.Limit {
			break
		}
		if e := &l.events[i].Event; q.picks(e) {
			found = append(found, *e)
		}
	}
	return found
}

// LastReads returns, by connection, the newest event in which a program was
// handed a token or made a request.
func (l *Log) LastReads() map[string]Event {
	last := map[string]Event{}
	if l == nil {
		return last
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if (e.Kind == TokenRead || e.Kind == Request) && e.Code == "" {
			last[e.ConnectionID] = e.Event
		}
	}
	return last
}

// Changes returns a doorbell that rings at least once after every change, and
// at most once a second.
func (l *Log) Changes() (bell <-chan struct{}, stop func()) {
	if l == nil {
		return nil, func() {}
	}
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bells[c] = struct{}{}
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.bells, c)
	}
}

// Run rings and writes until ctx ends, and then writes once more.
func (l *Log) Run(ctx context.Context) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		select {
		case <-l.wake:
			l.ring()
			l.write(time.Now())
		case <-ctx.Done():
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
		}
	}
	l.file.waitUntil = time.Time{}
	l.write(time.Now())
	return nil
}

func (l *Log) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.bells {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// write brings the disk up to date, unless it refused a moment ago.
func (l *Log) write(now time.Time) {
	if now.Before(l.file.waitUntil) {
		time.AfterFunc(l.file.waitUntil.Sub(now), l.wakeUp)
		return
	}
	changed := l.take(now)
	if len(changed) == 0 && !l.file.behind {
		return
	}
	err := l.file.append(changed, l.all)
	switch {
	case err == nil && l.file.failed:
		l.log.Info("the activity log can be written again", "path", l.file.path)
	case err != nil && !l.file.failed:
		l.log.Warn("the activity log cannot be written, and is kept in memory", "path", l.file.path, "err", err)
	}
	if l.file.failed = err != nil; l.file.failed {
		l.file.waitUntil = now.Add(patience)
		time.AfterFunc(patience, l.wakeUp)
	}
}

// take returns as lines what is not on disk, which is taken to be there from
// now on, and forgets what will not grow any more.
func (l *Log) take(now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.recent {
		if age := now.Sub(e.At); age < 0 || age >= foldWithin {
			delete(l.recent, key)
		}
	}
	return lines(l.events, func(e *entry) bool { return e.dirty })
}

// all returns every event as lines.
func (l *Log) all() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lines(l.events, func(*entry) bool { return true })
}

func lines(events []*entry, pick func(*entry) bool) []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	for _, e := range events {
		if !pick(e) {
			continue
		}
		e.dirty = false
		_ = out.Encode(e.Event) // an Event can be written as JSON, and a buffer takes it
	}
	return b.Bytes()
}
