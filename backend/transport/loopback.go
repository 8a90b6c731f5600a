// Package transport carries one authorization from prompt to authorization
// response.
//
// Loopback is the way of RFC 8252 section 7.3: a listener on 127.0.0.1 that
// exists before the authorization URL does, and a redirect URI that leads the
// user's own browser back to it. Its rules:
//
//   - Whoever connects is a stranger. A request passes the checks of checks.go
//     in their order, and until the last one is passed nothing about any attempt
//     changes: the genuine response still works afterwards.
//   - A response is handed over exactly once, by compare-and-swap.
//   - The browser is sent on to a clean address at once (RFC 6749 section
//     3.1.2.5), and the page there waits for the outcome. It never says
//     "connected" before that is so.
//   - A page holds no script, no address of anybody else and none of the
//     provider's words; a log line holds neither code nor state.
//   - Attempts with the same fixed port share one listener and are told apart
//     by state. A listener closes when no attempt and no result page needs it.
package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

const callbackPath = "/oauth/callback/"

// limits are how long things take.
type limits struct {
	result   time.Duration // how long a result page can be read and reloaded
	untold   time.Duration // the same when nobody tells the outcome
	patience time.Duration // how long a result page waits before it says "finishing"
}

var usualLimits = limits{result: 60 * time.Second, untold: 10 * time.Minute, patience: 3 * time.Second}

// providerID is what may be the last element of a callback path. It needs no
// escaping in a URL, which lets paths be compared as they came.
var providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// LoopbackOptions set up a Loopback. The zero value is the usual one.
type LoopbackOptions struct {
	Log *slog.Logger // nil: nothing is logged
	// AnyUser accepts responses that another user of this machine brings. It is
	// for a browser behind port forwarding or in a container.
	AnyUser bool
	// Certificate is for providers that insist on https, also on this machine;
	// nil, or an error, means that there is none.
	Certificate func() (*tls.Certificate, error)
}

// Loopback receives authorization responses on 127.0.0.1. Its methods may be
// called from any goroutine.
type Loopback struct {
	log     *slog.Logger
	anyUser bool
	cert    func() (*tls.Certificate, error)
	limits  limits
	counts  counts
	pace    pace
	work    sync.WaitGroup // listeners, until their last connection is gone

	binding sync.Mutex // held while a listener opens or closes; taken before mu

	mu        sync.Mutex
	closed    bool
	closing   chan struct{}
	listeners map[int]*listener // by port
	attempts  map[digest]*attempt
	results   map[digest]*attempt
}

// digest is the SHA-256 of a state or of the last element of a result's
// address. The texts themselves are not kept.
type digest [sha256.Size]byte

// attempt is one authorization in progress, or its result.
type attempt struct {
	provider string
	landing  string // the address, without its query, at which the response has to arrive
	named    bool   // that address says localhost
	posted   bool   // the response comes by POST
	on       *listener

	progress atomic.Int32
	response chan oauth.AuthorizationResponse // buffered; filled once, on hand-over

	told    chan struct{} // closed once outcome is set
	telling sync.Once
	outcome oauth.Outcome

	state, result digest      // its keys; result is guarded by Loopback.mu
	forget        *time.Timer // guarded by Loopback.mu
}

// The progress of an attempt: from waiting to one of the others, once.
const (
	waiting int32 = iota
	answered
	ended
)

// NewLoopback returns a Loopback that listens nowhere yet.
func NewLoopback(opts LoopbackOptions) *Loopback {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Loopback{
		log:       log,
		anyUser:   opts.AnyUser,
		cert:      opts.Certificate,
		limits:    usualLimits,
		closing:   make(chan struct{}),
		listeners: map[int]*listener{},
		attempts:  map[digest]*attempt{},
		results:   map[digest]*attempt{},
	}
}

// Authorize binds the listener, calls show once with the prompt, and returns
// with the one genuine response or when ctx ends. A response that came before
// ctx ended is returned even so. When it fails before show nothing was started
// and nothing listens.
func (l *Loopback) Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	return l.authorize(ctx, req, directly{req.Redirect.Localhost, req.Server.Authorize.ResponseMode == "form_post", req.ProviderID}, show)
}

// A way is how a response gets from the provider to a listener here.
type way interface {
	// landing is the address, without its query, that the browser opens in the end.
	landing(on *listener) string
	// posted reports whether it does so with a form.
	posted() bool
	// redirectURI is what the provider is told.
	redirectURI(on *listener) string
	// state returns the state that finds its way back, made of a random one.
	state(on *listener, random oauth.Secret) oauth.Secret
}

// directly: the provider sends the browser here.
type directly struct {
	localhost, formPost bool
	provider            string
}

func (d directly) landing(on *listener) string {
	return on.scheme() + on.name(d.localhost) + callbackPath + d.provider
}
func (d directly) posted() bool                                        { return d.formPost }
func (d directly) redirectURI(on *listener) string                     { return d.landing(on) }
func (d directly) state(_ *listener, random oauth.Secret) oauth.Secret { return random }

// authorize is Authorize by any way.
func (l *Loopback) authorize(ctx context.Context, req oauth.AuthorizationRequest, by way, show func(oauth.Prompt)) (oauth.Reply, error) {
	if ctx.Err() != nil {
		return oauth.Reply{}, endOf(ctx)
	}
	if !providerID.MatchString(req.ProviderID) || req.State.IsZero() {
		return oauth.Reply{}, fault.New(fault.Internal, "Keyturn prepared this connection badly. The log has the details.")
	}
	on, err := l.open(ctx, req.Redirect)
	if err != nil {
		return oauth.Reply{}, err
	}
	req.State = by.state(on, req.State)
	redirectURI := by.redirectURI(on)
	a := &attempt{
		provider: req.ProviderID,
		landing:  by.landing(on),
		named:    req.Redirect.Localhost,
		posted:   by.posted(),
		on:       on,
		response: make(chan oauth.AuthorizationResponse, 1),
		told:     make(chan struct{}),
		state:    sha256.Sum256([]byte(req.State.Reveal())),
	}
	authURL, err := req.PromptURL(ctx, redirectURI)
	if err == nil {
		err = l.record(a)
	}
	if err != nil {
		l.release(on)
		if _, ok := errors.AsType[*fault.Error](err); !ok {
			err = fault.Wrap(err, fault.Internal, "Keyturn could not build the address to open. The log has the details.")
		}
		return oauth.Reply{}, err
	}
	// A show that panics must not leave a listener behind.
	defer func() {
		if a.progress.CompareAndSwap(waiting, ended) {
			l.drop(a)
		}
	}()
	show(oauth.Prompt{URL: authURL, RedirectURI: redirectURI, Paste: func(text string) error {
		return l.paste(a, text, redirectURI)
	}})

	select {
	case r := <-a.response:
		return l.reply(a, r), nil
	case <-ctx.Done():
		err = endOf(ctx)
	case <-l.closing:
		err = closing()
	}
	if a.progress.CompareAndSwap(waiting, ended) {
		l.drop(a)
	}
	if a.progress.Load() == ended {
		return oauth.Reply{}, err
	}
	return l.reply(a, <-a.response), nil
}

// paste takes a response from a person whose browser is elsewhere. Nobody waits
// for a page, so there is none.
func (l *Loopback) paste(a *attempt, text, redirectURI string) error {
	r, err := pasted(text, a.state, redirectURI, a.landing)
	if err != nil {
		return err
	}
	if !a.progress.CompareAndSwap(waiting, answered) {
		return pastedLate()
	}
	l.counts.delivered.Add(1)
	l.forgetAfter(a, l.limits.untold)
	a.response <- r
	l.log.Info("authorization response pasted", "provider", a.provider)
	return nil
}

// reply is what Authorize returns for a response that was handed over.
func (l *Loopback) reply(a *attempt, r oauth.AuthorizationResponse) oauth.Reply {
	return oauth.Reply{Response: r, Tell: func(o oauth.Outcome) {
		a.telling.Do(func() {
			a.outcome = o
			close(a.told)
			l.forgetAfter(a, l.limits.result)
		})
	}}
}

// record makes a findable by its state.
func (l *Loopback) record(a *attempt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return closing()
	}
	if _, taken := l.attempts[a.state]; taken {
		return errors.New("loopback: a state is used twice")
	}
	l.attempts[a.state] = a
	if a.named {
		a.on.named.Add(1)
	} else {
		a.on.literal.Add(1)
	}
	if a.posted {
		a.on.posted.Add(1)
	}
	return nil
}

// drop forgets a and whatever only it needed. It does nothing the second time.
func (l *Loopback) drop(a *attempt) {
	l.mu.Lock()
	known := l.attempts[a.state] == a
	if known {
		delete(l.attempts, a.state)
		delete(l.results, a.result)
		if a.forget != nil {
			a.forget.Stop()
		}
		if a.named {
			a.on.named.Add(-1)
		} else {
			a.on.literal.Add(-1)
		}
		if a.posted {
			a.on.posted.Add(-1)
		}
	}
	l.mu.Unlock()
	if known {
		l.release(a.on)
	}
}

// forgetAfter lets the result of a be read for d from now.
func (l *Loopback) forgetAfter(a *attempt, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attempts[a.state] != a {
		return // closed meanwhile
	}
	if a.forget != nil {
		a.forget.Stop()
	}
	a.forget = time.AfterFunc(d, func() { l.drop(a) })
}

// open returns the listener for a redirect rule, with one more user.
func (l *Loopback) open(ctx context.Context, rule oauth.RedirectRule) (*listener, error) {
	l.binding.Lock()
	defer l.binding.Unlock()
	l.mu.Lock()
	closed, on := l.closed, l.listeners[rule.Port]
	l.mu.Unlock()
	if closed {
		return nil, closing()
	}
	if on != nil && (on.secure != nil) != rule.HTTPS {
		return nil, taken(errors.New("http and https on one port"), rule.Port)
	}
	if on != nil {
		if rule.Localhost && !on.both {
			if err := on.bindIPv6(ctx); err != nil {
				return nil, err
			}
		}
		on.users++
		return on, nil
	}
	secure, err := l.secureFor(rule)
	if err != nil {
		return nil, err
	}
	sockets, err := bind(ctx, rule)
	if err != nil {
		return nil, err
	}
	on = newListener(l, sockets, rule.Localhost, secure)
	on.users = 1
	l.work.Add(1)
	l.mu.Lock()
	l.listeners[on.port] = on
	l.mu.Unlock()
	return on, nil
}

// secureFor returns what a listener needs for https, nil for http.
func (l *Loopback) secureFor(rule oauth.RedirectRule) (*tls.Config, error) {
	if !rule.HTTPS {
		return nil, nil
	}
	if l.cert == nil {
		return nil, fault.New(fault.BadRequest, "https on this computer is not switched on. Set https_loopback = true in the settings, or use another callback transport.")
	}
	pair, err := l.cert()
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*pair}, NextProtos: []string{"http/1.1"}}, nil
}

// release takes one user from a listener; without users it closes. The port is
// free again when release returns, its connections end a little later.
func (l *Loopback) release(on *listener) {
	l.binding.Lock()
	defer l.binding.Unlock()
	if on.users--; on.users > 0 {
		return
	}
	l.mu.Lock()
	delete(l.listeners, on.port)
	l.mu.Unlock()
	on.unbind()
	go func() {
		defer l.work.Done()
		on.windDown()
	}()
}

// Close ends everything: attempts in progress return, pages that still wait
// get an answer, no listener or goroutine is left. It takes about a second at most.
func (l *Loopback) Close(ctx context.Context) error {
	l.binding.Lock()
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	all := slices.Collect(maps.Values(l.attempts))
	l.mu.Unlock()
	l.binding.Unlock()
	for _, a := range all {
		a.progress.CompareAndSwap(waiting, ended)
		l.drop(a)
	}
	done := make(chan struct{})
	go func() {
		l.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endOf says why ctx ended, in the words of whoever ended it if they left any.
func endOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if f, ok := errors.AsType[*fault.Error](cause); ok {
		return f
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return fault.Wrap(cause, fault.Expired, "Nobody approved in time. Start again from Keyturn.")
	}
	return fault.Wrap(cause, fault.Cancelled, "The connection was cancelled.")
}

func closing() error {
	return fault.New(fault.Cancelled, "Keyturn is closing. Start it again and connect then.")
}

// scheme is what redirect URIs that lead to the listener begin with.
func (on *listener) scheme() string {
	if on.secure != nil {
		return "https://"
	}
	return "http://"
}

// name is the host of redirect URIs that lead to the listener.
func (on *listener) name(localhost bool) string {
	host := "127.0.0.1"
	if localhost {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(on.port))
}
