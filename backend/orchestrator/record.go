package orchestrator

import (
	"keyturn/backend/activity"
	"keyturn/backend/fault"
)

// record writes down what happened to a connection of Keyturn's own accord.
func (o *Orchestrator) record(kind activity.Kind, r *Record, code fault.Code) {
	o.activity.Add(activity.Event{
		At:           o.now(),
		Kind:         kind,
		ConnectionID: r.ID,
		Provider:     r.Provider,
		Account:      r.Account.Label,
		Code:         string(code),
	})
}

// recordAttempt writes down how an attempt ended, and who had started it.
func (o *Orchestrator) recordAttempt(a *attempt) {
	kind := activity.Connected
	if a.view.Status == Error {
		kind = activity.ConnectFailed
	}
	o.activity.Add(activity.Event{
		At:           o.now(),
		Kind:         kind,
		ConnectionID: a.view.ConnectionID,
		Provider:     a.view.Provider,
		Account:      a.view.Account,
		Principal:    a.view.Starter,
		Code:         string(a.view.Code),
	})
}
