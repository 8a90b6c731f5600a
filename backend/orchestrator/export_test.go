package orchestrator

import "keyturn/backend/oauth"

// Held returns a look at the token that memory has of a connection, which goes
// on when the connection does not.
func (o *Orchestrator) Held(id string) func() oauth.Token {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.connections[id]
	return func() oauth.Token {
		o.mu.Lock()
		defer o.mu.Unlock()
		return c.rec.Token
	}
}
