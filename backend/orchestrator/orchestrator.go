// Package orchestrator owns connections and attempts: it starts authorizations,
// settles them, refreshes grants, hands out fresh access tokens, and tells
// listeners that something changed.
//
// The rules it keeps:
//
//   - mu guards memory and is never held across I/O. A cached token is read
//     under mu alone, so a slow provider slows only itself.
//   - Each connection has a lane, a channel of size one, that orders what is
//     slow about it: store writes, refresh, disconnect. The lane is taken
//     before mu, never while mu is held.
//   - Slow work carries what it started from (an attempt, a generation) and is
//     dropped when that is no longer current. settle is the only writer of a
//     connection; finish is the only end of an attempt.
//   - An attempt is recorded before anybody gets its URL. A stranger cannot
//     end it, nor can another program: only its own response, its own timer,
//     or the user.
//   - Save first, then show. A refresh token that rotated and cannot be saved
//     is used all the same, loudly, and saved when the disk recovers.
//   - The orchestrator never opens a browser: whoever asked gets the prompt.
//   - Every goroutine is started with wg.Go; Run returns when all have ended.
package orchestrator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Limits of attempts.
const (
	PendingLife       = 5 * time.Minute  // how long an attempt waits for its response
	PasteLife         = 10 * time.Minute // the same when a person has to copy it
	DeviceLife        = 15 * time.Minute // the same at most when the provider says how long
	ResultLife        = 60 * time.Second // how long an ended attempt stays readable
	MaxPending        = 32
	MaxPendingPerName = 4 // per provider
)

// tick is how often the wall clock is looked at: timers stand still while a
// laptop sleeps.
const tick = 30 * time.Second

// lastSave is how long stopping waits for a store that refused before.
const lastSave = 2 * time.Second

// Options are the parts an Orchestrator is built from. All are required but
// Hosted, Activity and Log.
type Options struct {
	Store      Store
	Catalogue  *provider.Catalogue
	Transports map[string]Transport // by name: "loopback", …
	HTTP       *oauth.HTTP
	// CallbackPort is the install's documented callback port.
	CallbackPort int
	// HTTPSLoopback says whether loopback may be used for providers that insist
	// on https; nil means no.
	HTTPSLoopback func() bool
	// ClientDocument is the https address of a document that describes this
	// client (OAuth Client ID Metadata Document); nil or "": there is none.
	ClientDocument func() string
	// Hosted starts an authorization server inside this program, by the name
	// in Provider.HostedBy, and keeps it listening until release is called.
	Hosted map[string]func() (release func(), err error)
	// Activity is where it is recorded what happened to connections; may be nil.
	Activity *activity.Log
	Log      *slog.Logger
	// Now is the wall clock; nil means time.Now. HTTP must have the same.
	Now func() time.Time
}

// Orchestrator is described in the package comment. Its methods may be called
// from any goroutine.
type Orchestrator struct {
	// Constant after New.
	store      Store
	catalogue  *provider.Catalogue
	transports map[string]Transport
	http       *oauth.HTTP
	port       int
	hosted     map[string]func() (func(), error)
	// httpsLoopback says whether the user has switched on https on this machine.
	httpsLoopback  func() bool
	clientDocument func() string

	activity *activity.Log
	log      *slog.Logger
	now      func() time.Time // without a monotonic reading: that one sleeps when a laptop does

	ctx    context.Context // ends when Run does
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{} // closed once the store was tried
	lane   chan struct{} // orders loading, and writes of apps and providers
	finds  chan struct{} // a lane: one resource is found out about at a time

	mu          sync.Mutex
	connections map[string]*connection   // by id
	byProvider  map[string][]*connection // the same, oldest first
	byAlias     map[alias][]*connection  // the same again, by the words that callers use
	revoking    map[string]*connection   // by id: disconnected, and waiting for the provider
	leaving     map[string]*connection   // by id: being disconnected
	slots       map[string]chan struct{} // by provider: refreshes at work
	behind      bool                     // more is due than there are slots for
	looked      moment                   // when it was last looked what is due
	apps        map[string]App           // by id
	fromFiles   map[string]bool          // ids of providers that files of the user's describe
	attempts    map[string]*attempt      // by handle
	cooled      map[string]cooled        // by what was asked for
	bells       map[chan struct{}]struct{}
	storeErr    error // why the store is not open; nil once it was loaded
	paused      bool  // hand-outs are held back
	locked      bool  // by the user
	damaged     []Damaged
}

// New returns an Orchestrator without contents; Run loads them.
func New(opts Options) *Orchestrator {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	clock := opts.Now
	if clock == nil {
		clock = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Orchestrator{
		now:            func() time.Time { return clock().Round(0) },
		store:          opts.Store,
		catalogue:      opts.Catalogue,
		transports:     opts.Transports,
		http:           opts.HTTP,
		port:           opts.CallbackPort,
		fromFiles:      map[string]bool{},
		clientDocument: opts.ClientDocument,
		finds:          make(chan struct{}, 1),
		hosted:         opts.Hosted,

		httpsLoopback: opts.HTTPSLoopback,
		activity:      opts.Activity,
		log:           log,
		ctx:           ctx,
		cancel:        cancel,
		ready:         make(chan struct{}),
		lane:          make(chan struct{}, 1),
		connections:   map[string]*connection{},
		byProvider:    map[string][]*connection{},
		byAlias:       map[alias][]*connection{},
		revoking:      map[string]*connection{},
		leaving:       map[string]*connection{},
		slots:         map[string]chan struct{}{},
		apps:          map[string]App{},
		attempts:      map[string]*attempt{},
		cooled:        map[string]cooled{},
		bells:         map[chan struct{}]struct{}{},
		storeErr:      fault.New(fault.StoreLocked, "Keyturn is still opening its store. Try again in a moment."),
	}
}

// Run loads the store, refreshes grants, and returns when ctx has ended and
// everything it started has ended too. It is called once.
func (o *Orchestrator) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, o.cancel)
	defer stop()
	if err := o.load(ctx); err != nil {
		o.log.Warn("store not open", "code", fault.CodeOf(err), "error", err.Error())
	}
	close(o.ready)

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	o.look(o.now()) // an answer may have been lost when Keyturn ended: servers forgive that for seconds only
	for {
		select {
		case <-ticker.C:
			o.look(o.now())
		case <-o.ctx.Done():
			o.endAll()
			o.wg.Wait()
			o.saveRest()
			o.releaseAll()
			return nil
		}
	}
}

// look does what is due at a moment of the wall clock.
func (o *Orchestrator) look(now time.Time) {
	o.sweep(now)
	if o.storeError() != nil {
		if !o.isLocked() {
			o.wg.Go(func() { _ = o.load(o.ctx) })
		}
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watchClockLocked(now)
	o.saveAgainLocked()
	o.refreshDueLocked(now)
	o.revokeDueLocked(now)
}

// Ready is closed once Run has tried to load the store.
func (o *Orchestrator) Ready() <-chan struct{} { return o.ready }

// open returns nil when the store is loaded. It waits for the first try and
// tries again when the store was locked.
func (o *Orchestrator) open(ctx context.Context) error {
	select {
	case <-o.ready: // also while stopping: what a late attempt saved may have to be undone
	default:
		select {
		case <-o.ready:
		case <-ctx.Done():
			return ctx.Err()
		case <-o.ctx.Done():
			return errStopping
		}
	}
	err := o.storeError()
	if err == nil || fault.CodeOf(err) != fault.StoreLocked || o.isLocked() {
		return err
	}
	return o.load(ctx)
}

var errStopping = fault.New(fault.Unreachable, "Keyturn is stopping.")

func (o *Orchestrator) storeError() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.storeErr
}

func (o *Orchestrator) isLocked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.locked
}

// load reads the store into memory, once.
func (o *Orchestrator) load(ctx context.Context) error {
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)
	select {
	case <-o.ready: // another caller may have loaded it meanwhile
		if o.storeError() == nil {
			return nil
		}
	default:
	}
	contents, err := o.store.Load(ctx)
	if err != nil {
		o.mu.Lock()
		o.storeErr = err
		o.ringLocked()
		o.mu.Unlock()
		return err
	}
	for _, p := range contents.Providers {
		p.Custom = true
		if err := o.catalogue.Put(p); err != nil {
			// A later version of Keyturn may have taken the name: the built-in wins.
			o.log.Warn("stored provider left out", "provider", p.ID, "error", err.Error())
		}
	}
	uses := map[string]func(){}
	for _, r := range contents.Connections {
		uses[r.ID] = o.use(r.Provider)
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	o.emptyLocked()
	for _, a := range contents.Apps {
		o.apps[a.ID] = a
	}
	for _, r := range contents.Connections {
		if r.Token.Expiry.IsZero() && r.Refreshed.IsZero() {
			r.Refreshed = r.Created
		}
		c := &connection{rec: r, lane: make(chan struct{}, 1), release: uses[r.ID], kept: r.Generation}
		if r.Status == Revoking {
			o.revoking[r.ID] = c
			continue
		}
		o.addLocked(c)
	}
	for _, c := range o.connections {
		o.spareLocked(&c.rec) // a crash may have come between a new grant and this
	}
	o.damaged = contents.Damaged
	o.storeErr = nil
	o.ringLocked()
	return nil
}

// use keeps the server inside this program that hosts a provider listening, if
// the provider has one. A server that cannot listen is the next connect's
// problem, not that of a stored connection.
func (o *Orchestrator) use(providerID string) (release func()) {
	p, _ := o.catalogue.Lookup(providerID)
	start := o.hosted[p.HostedBy]
	if start == nil {
		return func() {}
	}
	release, err := start()
	if err != nil {
		o.log.Warn("hosted provider not listening", "provider", providerID, "error", err.Error())
		return func() {}
	}
	return release
}

// saveRest tries once more to save what could not be saved: after this it is
// in no memory either.
func (o *Orchestrator) saveRest() {
	o.mu.Lock()
	var rest []Record
	for _, c := range o.connections {
		if c.unsaved != "" {
			rest = append(rest, c.rec)
		}
	}
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), lastSave)
	defer cancel()
	for _, r := range rest {
		if err := o.store.SaveConnection(ctx, r); err != nil {
			o.log.Error("connection lost its newest token", "provider", r.Provider, "connection", r.ID, "error", err.Error())
		}
	}
}

// releaseAll lets hosted servers go when everything has ended.
func (o *Orchestrator) releaseAll() {
	o.mu.Lock()
	all := make([]*connection, 0, len(o.connections))
	for _, c := range o.connections {
		all = append(all, c)
	}
	for _, c := range o.revoking {
		all = append(all, c)
	}
	o.mu.Unlock()
	for _, c := range all {
		c.release()
	}
}

// goLocked starts f unless Keyturn is stopping. Callers hold mu, which orders
// this with the end of Run.
func (o *Orchestrator) goLocked(f func()) bool {
	if o.ctx.Err() != nil {
		return false
	}
	o.wg.Go(f)
	return true
}

// enter takes a lane, or gives up with ctx. Lanes are channels, not mutexes,
// because they are held across I/O and their waiters must be able to leave.
func enter(ctx context.Context, lane chan struct{}) error {
	select {
	case lane <- struct{}{}:
		return nil
	default:
	}
	select {
	case lane <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func leave(lane chan struct{}) { <-lane }
