package orchestrator

import (
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
)

// cooling is how long programs leave a person in peace who has just said no, or
// let time run out.
const cooling = 10 * time.Minute

// cooled is an authorization that failed and that programs want again. It is
// about requests with IfNeeded, which programs make by themselves: each of them
// would open another tab. A person's own connect is never held back, and ends it.
type cooled struct {
	until   time.Time
	failed  time.Time
	message string
}

// coolingKey is what programs ask for again and again.
func coolingKey(r ConnectRequest) string {
	return strings.Join(append([]string{r.Provider, r.ClientID, strings.ToLower(r.Account)}, sorted(r.Scopes)...), "\x00")
}

// coolLocked notes how an attempt failed. Callers hold mu.
func (o *Orchestrator) coolLocked(a *attempt) {
	switch key := coolingKey(a.request); {
	case a.view.Status == Complete:
		delete(o.cooled, key)
	case a.view.Code != fault.Superseded && a.view.URL != "": // somebody has seen it
		now := o.now()
		for k, c := range o.cooled {
			if now.After(c.until) {
				delete(o.cooled, k)
			}
		}
		o.cooled[key] = cooled{now.Add(cooling), now, a.view.Message}
	}
}

// warm refuses what a program asks for too soon after a failure, and forgets
// the failure for a person who asks.
func (o *Orchestrator) warm(a *attempt, ifNeeded bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	key, now := coolingKey(a.request), o.now()
	c, there := o.cooled[key]
	joins := slices.ContainsFunc(o.pendingLocked(), func(other *attempt) bool { return other.sameAs(a.request) })
	switch {
	case !there || now.After(c.until) || joins:
		return nil
	case !ifNeeded:
		delete(o.cooled, key)
		return nil
	}
	return fault.New(fault.CoolingDown, "%s was not connected at %s: %s Programs may ask again at %s. To connect it now: keyturn connect %s",
		a.provider.Name, c.failed.Local().Format(time.TimeOnly), c.message, c.until.Local().Format(time.TimeOnly), a.provider.ID)
}

// pendingLocked lists the attempts that wait for the user. Callers hold mu.
func (o *Orchestrator) pendingLocked() (all []*attempt) {
	for _, a := range o.attempts {
		if a.view.Status == Pending && a.view.Step == WaitingForBrowser {
			all = append(all, a)
		}
	}
	return all
}
