package orchestrator

import "keyturn/backend/fault"

// Pause holds hand-outs back, or lets them go on: the user's own switch, for a
// moment when programs shall not act in their name. Grants are renewed all the
// same, so that nothing is lost. It lasts as long as the program.
func (o *Orchestrator) Pause(paused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paused == paused {
		return
	}
	o.paused = paused
	o.log.Info("hand-outs", "paused", paused)
	o.ringLocked()
}

// HandsOut returns nil, or a fault.Paused that says that programs get no token
// for now.
func (o *Orchestrator) HandsOut() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paused {
		return fault.New(fault.Paused, "You have paused hand-outs, so programs get no token. Let them go on in Keyturn's menu or settings, or with: keyturn resume")
	}
	return nil
}
