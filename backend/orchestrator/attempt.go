package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// An attempt is one authorization in progress, or the readable result of one.
// What it starts from is frozen here: a provider that is edited meanwhile does
// not change where the code goes.
type attempt struct {
	// Constant after Connect.
	request  ConnectRequest // for joining and for Restart
	provider provider.Provider
	server   oauth.Server
	client   oauth.Client
	authz    oauth.AuthorizationRequest
	ctx      context.Context // ends with the attempt
	cancel   context.CancelFunc
	prompted chan struct{} // closed when view.URL is there, or when there will be none
	release  func()        // lets the hosted server go

	// Guarded by Orchestrator.mu.
	view        Attempt
	redirectURI string
	paste       func(text string) error // nil: nothing can be pasted
	confirm     func(code string) error // nil: nothing has to be confirmed
	failed      error                   // why there is no prompt
	timer       *time.Timer
}

// life is how long the attempt waits for its response, unless its prompt says
// otherwise.
func (a *attempt) life() time.Duration {
	switch a.request.Transport {
	case "paste":
		return PasteLife
	case "device":
		return DeviceLife
	}
	return PendingLife
}

// shown reports whether others may see the attempt. Callers hold mu.
func (a *attempt) shown() bool { return a.view.URL != "" }

// sameAs reports whether an equal request is being made already. The scopes
// are a set.
func (a *attempt) sameAs(r ConnectRequest) bool {
	return a.request.Provider == r.Provider && a.request.ClientID == r.ClientID &&
		a.request.Account == r.Account && a.request.Transport == r.Transport && a.request.Choose == r.Choose &&
		a.request.Secret.Reveal() == r.Secret.Reveal() &&
		slices.Equal(sorted(a.request.Scopes), sorted(r.Scopes))
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// Attempt returns the attempt with a status handle; fault.StateUnknown when
// there is none or it is forgotten.
func (o *Orchestrator) Attempt(handle string) (Attempt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.attempts[handle]; a != nil {
		return a.view, nil
	}
	return Attempt{}, unknownHandle()
}

func unknownHandle() error {
	return fault.New(fault.StateUnknown, "This attempt is not known any more: it ended more than a minute ago, or Keyturn was restarted. Start again.")
}

// Cancel ends a pending attempt; ending an ended one is no error. A token that
// arrives after all is revoked, not stored.
func (o *Orchestrator) Cancel(handle string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.attempts[handle]
	if a == nil {
		return unknownHandle()
	}
	o.failLocked(a, fault.New(fault.Cancelled, "You cancelled this before it was done."))
	return nil
}

// Paste takes the response of an attempt out of the address that a person
// copied. What is wrong with it is said, and changes nothing.
func (o *Orchestrator) Paste(handle, text string) error {
	o.mu.Lock()
	a := o.attempts[handle]
	if a == nil {
		o.mu.Unlock()
		return unknownHandle()
	}
	paste, pending, name := a.paste, a.view.Status == Pending, a.provider.Name
	o.mu.Unlock()
	switch {
	case !pending:
		return fault.New(fault.Conflict, "This attempt has ended already. Start again if it did not go well.")
	case paste == nil:
		return fault.New(fault.BadRequest, "Nothing has to be pasted for %s: it finishes by itself when you have approved there.", name)
	}
	return paste(text)
}

// Confirm takes the code that the browser shows, for an attempt whose response
// came by way of a relay. A wrong code is said, and may be corrected twice.
func (o *Orchestrator) Confirm(handle, code string) error {
	o.mu.Lock()
	a := o.attempts[handle]
	if a == nil {
		o.mu.Unlock()
		return unknownHandle()
	}
	confirm, pending, name := a.confirm, a.view.Status == Pending, a.provider.Name
	o.mu.Unlock()
	switch {
	case !pending:
		return fault.New(fault.Conflict, "This attempt has ended already. Start again if it did not go well.")
	case confirm == nil:
		return fault.New(fault.BadRequest, "Nothing has to be confirmed for %s: it finishes by itself when you have approved there.", name)
	}
	return confirm(code)
}

// awaitConfirmation shows that a response is there which has to be confirmed.
func (o *Orchestrator) awaitConfirmation(a *attempt, held <-chan struct{}) {
	select {
	case <-held:
		o.at(a, AwaitingConfirmation)
	case <-a.ctx.Done():
	}
}

// expire is what the timer of a pending attempt does.
func (o *Orchestrator) expire(a *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expireLocked(a)
}

// expireLocked ends an attempt that still waits. One whose response has come
// does not: the exchange has limits of its own. Callers hold mu.
func (o *Orchestrator) expireLocked(a *attempt) {
	if a.view.Step == WaitingForBrowser || a.view.Step == AwaitingConfirmation {
		o.failLocked(a, fault.New(fault.Expired, "%s was not approved within %s. Start again when you are ready.", a.provider.Name, minutes(a.view.Expires.Sub(a.view.Started))))
	}
}

func minutes(d time.Duration) string {
	if n := int(d.Round(time.Minute) / time.Minute); n != 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "a minute"
}

// failLocked ends an attempt with an error, if it has not ended. Callers hold mu.
func (o *Orchestrator) failLocked(a *attempt, err error) bool {
	return o.finishLocked(a, func(v *Attempt) {
		v.Status, v.Code, v.Message = Error, fault.CodeOf(err), fault.MessageOf(err)
	})
}

// finishLocked is the only end of an attempt: exactly one caller gets true.
// Callers hold mu.
func (o *Orchestrator) finishLocked(a *attempt, result func(*Attempt)) bool {
	if a.view.Status != Pending {
		return false
	}
	result(&a.view)
	a.view.Step = ""
	a.view.Expires = o.now().Add(ResultLife)
	a.timer.Stop()
	a.timer = time.AfterFunc(ResultLife, func() { o.forget(a) })
	a.cancel()
	o.coolLocked(a)
	o.recordAttempt(a)
	o.ringLocked()
	return true
}

// forget removes an ended attempt that nobody can ask for any more.
func (o *Orchestrator) forget(a *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgetLocked(a)
}

func (o *Orchestrator) forgetLocked(a *attempt) {
	if o.attempts[a.view.Handle] == a {
		delete(o.attempts, a.view.Handle)
		o.ringLocked()
	}
}

// sweep does by the wall clock what timers do by the monotonic one, which
// stands still while a laptop sleeps.
func (o *Orchestrator) sweep(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.attempts {
		switch {
		case !now.After(a.view.Expires):
		case a.view.Status == Pending:
			o.expireLocked(a)
		default:
			o.forgetLocked(a)
		}
	}
}

var errStopped = fault.New(fault.Cancelled, "Keyturn was stopped before this was done.")

// endAll ends every attempt when Keyturn stops, but for those that are being
// saved: their code is spent, and a save takes no longer than saying no to it.
func (o *Orchestrator) endAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.attempts {
		if a.view.Step == Saving {
			continue
		}
		o.failLocked(a, errStopped)
		a.timer.Stop()
	}
}

// at moves a pending attempt to a step; false when it has ended meanwhile.
func (o *Orchestrator) at(a *attempt, s Step) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.view.Status != Pending {
		return false
	}
	a.view.Step = s
	o.ringLocked()
	return true
}
