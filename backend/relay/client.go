package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"keyturn/backend/fault"
)

// Options set up a Client. The zero value is the usual one.
type Options struct {
	TLS *tls.Config  // nil: the system's roots
	Log *slog.Logger // nil: nothing is logged
}

// Client is the app's end of one relay. Run keeps it connected. Its methods may
// be called from any goroutine.
type Client struct {
	enrolment Enrolment
	tls       *tls.Config
	log       *slog.Logger
	dial      func(ctx context.Context, url string, receive func([]byte) []byte) (link, error)
	hurry     chan struct{} // of one: somebody waits for the connection

	mu       sync.Mutex // taken after Attempt.mu
	attempts map[flow]*Attempt
	status   Status
	changed  chan struct{} // closed and replaced when status.Connected changes
}

// link is a connection to a relay that delivers messages.
type link interface {
	Gone() <-chan struct{} // closed once the connection has ended
	Close()
}

// Status is what a Client knows of its connection and of what came over it.
type Status struct {
	Connected bool
	Rejected  bool          // the last try ended with ErrNotEnrolled
	Since     time.Time     // when Connected changed last
	LastError string        // of the last try or connection; for the log and doctor
	Skew      time.Duration // how far the gateway's clock is ahead, from its last message; 0 before the first

	Accepted  uint64 // callbacks that an attempt took, the repeated ones included
	Unknown   uint64 // for an attempt that is over, or never was
	Refused   uint64 // no acceptable response inside
	Skewed    uint64 // too old or too new
	Forged    uint64 // signed by somebody else
	Malformed uint64 // not one of our messages, of another version, or sealed to another key
}

// NewClient returns a Client that is not connected yet.
func NewClient(e Enrolment, opts Options) *Client {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		enrolment: e, tls: opts.TLS, log: log,
		hurry:    make(chan struct{}, 1),
		attempts: map[flow]*Attempt{},
		changed:  make(chan struct{}),
	}
	c.dial = c.dialNATS
	return c
}

// Run connects, and connects again whenever the connection ends, until ctx
// ends. It tries the gateway's addresses in turn, waits longer after each
// failure (backoff.go) and never gives up. It is called once.
func (c *Client) Run(ctx context.Context) {
	var b backoff
	for n := 0; ctx.Err() == nil; n++ {
		url := c.enrolment.URLs[n%len(c.enrolment.URLs)]
		start := time.Now()
		held, err := c.hold(ctx, url)
		if ctx.Err() != nil {
			return
		}
		pause := b.next(held)
		c.log.Info("relay is not connected", "after", time.Since(start).Round(time.Millisecond), "next_try_in", pause.Round(time.Millisecond), "error", err)
		c.pause(ctx, pause)
	}
}

// hold connects and returns once the connection is gone; held is how long it stood.
func (c *Client) hold(ctx context.Context, url string) (held time.Duration, err error) {
	l, err := c.dial(ctx, url, c.receive)
	if err != nil {
		c.setConnected(false, err)
		return 0, err
	}
	start := time.Now()
	c.setConnected(true, nil)
	c.log.Info("relay connected")
	select {
	case <-l.Gone():
		err = errors.New("the gateway closed the connection")
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.Close()
	c.setConnected(false, err)
	return time.Since(start), err
}

// hurryAfter is the least pause before a try that a person waits for.
const hurryAfter = 2 * time.Second

// pause waits, though only hurryAfter when somebody asks whether we are Ready.
func (c *Client) pause(ctx context.Context, d time.Duration) {
	select {
	case <-c.hurry: // asked while we were still trying: that try was the answer
	default:
	}
	least := time.NewTimer(min(d, hurryAfter))
	defer least.Stop()
	full := time.NewTimer(d)
	defer full.Stop()
	select {
	case <-least.C:
	case <-ctx.Done():
		return
	}
	select {
	case <-full.C:
	case <-c.hurry:
	case <-ctx.Done():
	}
}

// Ready returns nil once the Client is connected. A pause before the next try
// is cut short: a person who starts an attempt does not wait minutes. When ctx
// ends first the error is a *fault.Error, and wraps ErrNotEnrolled if that is why.
func (c *Client) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		connected, changed := c.status.Connected, c.changed
		c.mu.Unlock()
		if connected {
			return nil
		}
		select {
		case c.hurry <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if c.Status().Rejected {
				return fault.Wrap(ErrNotEnrolled, fault.Forbidden, "The gateway does not accept this Keyturn any more. Ask its owner for a new enrolment.")
			}
			return fault.Wrap(ctx.Err(), fault.Unreachable, "The gateway cannot be reached from here. Check its address and this machine's network, or use a device code or paste instead.")
		}
	}
}

// Status returns what is known now.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *Client) setConnected(connected bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Rejected = errors.Is(err, ErrNotEnrolled)
	if err != nil {
		c.status.LastError = err.Error()
	}
	if c.status.Connected != connected {
		c.status.Connected, c.status.Since = connected, time.Now()
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// forget drops a, which is over. Callers hold a.mu.
func (c *Client) forget(a *Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attempts[a.flow] == a {
		delete(c.attempts, a.flow)
	}
}

// receive takes one message and returns the answer to it, nil for none. What
// the gateway did not sign is not answered: silence tells a stranger nothing.
func (c *Client) receive(frame []byte) []byte {
	e, err := parseEnvelope(frame, c.enrolment.ID, c.enrolment.Gateway)
	if err != nil {
		c.count(func(s *Status) {
			if errors.Is(err, errSignature) {
				s.Forged++
			} else {
				s.Malformed++
			}
		})
		c.log.Warn("relay: a message was dropped", "error", err)
		return nil
	}
	verdict, skew := c.judge(e), time.Until(e.Time)
	c.count(func(s *Status) { s.Skew = skew })
	if verdict != Accepted {
		c.log.Warn("relay: a callback was not taken", "reason", verdict.Err(), "clock_ahead", skew.Round(time.Second))
	}
	return makeAnswer(e.ID, verdict, c.enrolment.key())
}

// judge gives a signed message to its attempt.
func (c *Client) judge(e envelope) Verdict {
	if skew := time.Until(e.Time); skew > MaxSkew || skew < -MaxSkew {
		c.count(func(s *Status) { s.Skewed++ })
		return Clock
	}
	c.mu.Lock()
	a := c.attempts[e.Flow]
	c.mu.Unlock()
	if a == nil {
		c.count(func(s *Status) { s.Unknown++ })
		return Unknown
	}
	d, err := e.open(c.enrolment.ID, a.key)
	if err != nil {
		c.count(func(s *Status) { s.Malformed++ })
		return Refused
	}
	verdict := a.take(d)
	c.count(func(s *Status) {
		switch verdict {
		case Accepted:
			s.Accepted++
		case Unknown:
			s.Unknown++
		default:
			s.Refused++
		}
	})
	return verdict
}

func (c *Client) count(add func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.status)
}
