// Package open shows a URL in the user's own browser (RFC 8252 section 4: the
// external user agent).
//
// The rules:
//
//   - Only an address is opened: a value that parse made. It allows little
//     rather than forbidding much, because what a desktop does with any other
//     kind of URL is anybody's guess.
//   - The program that opens it is named by its absolute path and gets the
//     address as one argument. There is no shell.
//   - It never says a word on our standard output, holds none of our
//     descriptors, and cannot take the terminal over.
//   - The caller does not wait for it: whoever is still running after a moment
//     is a browser, and is left alone.
//   - At most four are opened in a minute: a program that loops must not bury
//     the user in tabs.
//
// The address is visible to other users of the machine in the list of
// processes, so nothing secret may depend on it. $BROWSER works as far as the
// system's opener honours it: it is the user's own.
package open

import (
	"context"
	"sync"
	"time"

	"keyturn/backend/fault"
)

const (
	// moment is how long an opener gets to say that it failed.
	moment = 700 * time.Millisecond
	// perMinute is how many addresses are opened in any minute.
	perMinute = 4
)

// A Browser is one that the user can choose, or a profile of one.
type Browser struct {
	ID   string // such as firefox or chromium/Profile 1; stays the same
	Name string // as the desktop and the browser call it
	argv []string
}

// Show opens url in the user's browser and returns within a second: in the one
// of Browsers with that id, or in the system's own when there is none (any
// more) or id is "". A nil error means that an opener was started and did not
// fail at once, not that anybody has seen the page: whoever calls shows the
// link as well.
//
// The error has the code BadRequest for a URL that is not opened, RateLimited,
// or NoBrowser when there is nothing to open it with.
func Show(ctx context.Context, id, url string) error {
	a, err := parse(url)
	if err != nil {
		return err
	}
	if err := Ready(); err != nil {
		return err
	}
	if !opened.allow(time.Now()) {
		return fault.New(fault.RateLimited, "Too many browser tabs were opened in the last minute. Copy the link and open it yourself, or wait a minute.")
	}
	return run(ctx, id, a)
}

// Ready says why no browser could be opened here, or nil.
func Ready() error {
	_, err := opener()
	return err
}

// noBrowser is the answer when nothing can be opened.
func noBrowser(cause error) error {
	return fault.Wrap(cause, fault.NoBrowser, "No browser could be opened here. Copy the link and open it in a browser yourself.")
}

// opened counts for the whole process.
var opened limiter

// A limiter remembers the last times something was allowed.
type limiter struct {
	mu   sync.Mutex
	last [perMinute]time.Time // a ring
	next int
}

// allow reports whether one more is allowed at now, and counts it.
func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if oldest := l.last[l.next]; !oldest.IsZero() && now.Sub(oldest) < time.Minute {
		return false
	}
	l.last[l.next] = now
	l.next = (l.next + 1) % perMinute
	return true
}

// settled waits a moment for the opener's own verdict.
func settled(ctx context.Context, ended <-chan error) error {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return noBrowser(err)
		}
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
