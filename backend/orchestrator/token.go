package orchestrator

import (
	"context"
	"strings"
	"time"

	"keyturn/backend/fault"
)

// margin is how much of its life a token must have left to be called fresh:
// a minute, or a tenth of a short life.
func margin(lifetime time.Duration) time.Duration {
	if lifetime <= 0 {
		return time.Minute
	}
	return min(time.Minute, lifetime/10)
}

// clockSlack is how much a clock may be set back without a second thought.
const clockSlack = 5 * time.Minute

// unknownLife is how long a token is served whose provider did not say when it
// ends, before it is renewed if it can be.
const unknownLife = time.Hour

// lifetime returns how long the current token of r was issued for; 0 when unknown.
func lifetime(r *Record) time.Duration {
	if r.Token.Expiry.IsZero() {
		return 0
	}
	return r.Token.Expiry.Sub(r.Refreshed)
}

// fresh reports whether the token of r will do at least for minValid from now.
// What is asked beyond what the provider issues is capped at nine tenths of
// that, so that it cannot cause a refresh per call.
// When the clock shows less than it did when the token came, its end is not
// known any more and it is renewed.
func fresh(r *Record, now time.Time, minValid time.Duration) bool {
	if now.Before(r.Refreshed.Add(-clockSlack)) {
		return false
	}
	if r.Token.Expiry.IsZero() {
		return now.Sub(r.Refreshed) < unknownLife
	}
	life := lifetime(r)
	if minValid > 0 {
		minValid = min(minValid, life*9/10)
	}
	return r.Token.Expiry.Sub(now) > max(margin(life), minValid)
}

// alive reports whether the token of r has not ended, as far as is known.
func alive(r *Record, now time.Time) bool {
	return r.Token.Expiry.IsZero() || now.Before(r.Token.Expiry)
}

// Token returns an access token that is fresh, refreshing the grant when
// needed. A fresh one is read from memory without waiting for anybody.
func (o *Orchestrator) Token(ctx context.Context, q TokenQuery) (AccessToken, error) {
	for range 2 {
		now := o.now()
		o.mu.Lock()
		if o.storeErr != nil {
			o.mu.Unlock()
			if err := o.open(ctx); err != nil {
				return AccessToken{}, err
			}
			continue
		}
		c, err := o.queriedLocked(q)
		if err != nil {
			o.mu.Unlock()
			return AccessToken{}, err
		}
		if err := o.grantsLocked(c, q); err != nil {
			o.mu.Unlock()
			return AccessToken{}, err
		}
		if fresh(&c.rec, now, q.MinValid) || !c.renewable && alive(&c.rec, now) {
			c.lastUsed = now
			token := accessToken(c)
			o.mu.Unlock()
			return token, nil
		}
		wait, err := o.renewLocked(c, now)
		o.mu.Unlock()
		if err == nil {
			err = wait.done(ctx)
		}
		if ctx.Err() != nil {
			return AccessToken{}, ctx.Err()
		}
		return o.afterRefresh(q, err)
	}
	return AccessToken{}, o.storeError()
}

// queriedLocked returns the connection a query names. Callers hold mu.
func (o *Orchestrator) queriedLocked(q TokenQuery) (*connection, error) {
	if q.ConnectionID != "" {
		return o.byIDLocked(q.ConnectionID)
	}
	return o.findLocked(q.Provider, q.Account, q.ClientID)
}

// grantsLocked returns why a connection cannot serve a query, without asking
// the provider. Callers hold mu.
func (o *Orchestrator) grantsLocked(c *connection, q TokenQuery) error {
	if c.rec.Status == NeedsReconnect {
		return o.reconnectFault(&c.rec)
	}
	for _, s := range q.Scopes {
		if !contains(c.rec.Granted, s) {
			lacks := without(q.Scopes, c.rec.Granted)
			return fault.New(fault.ScopeInsufficient, "The connection to %s does not include %s. Connect again with: keyturn connect %s --scopes %s",
				o.nameOf(c.rec.Provider), strings.Join(lacks, ", "), c.rec.Provider, strings.Join(union(c.rec.Granted, lacks), ","))
		}
	}
	return nil
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

func union(a, b []string) []string { return append(append([]string(nil), a...), b...) }

// reconnectFault says why only the user can help.
func (o *Orchestrator) reconnectFault(r *Record) error {
	return fault.New(fault.NeedsReconnect, "%s. Connect again with: keyturn connect %s", because(o.nameOf(r.Provider), r.Reason), r.Provider)
}

// afterRefresh answers a query once its refresh has ended: with the new token,
// or with the old one as long as it lives.
func (o *Orchestrator) afterRefresh(q TokenQuery, refreshErr error) (AccessToken, error) {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := o.queriedLocked(q)
	if err != nil {
		return AccessToken{}, err
	}
	if err := o.grantsLocked(c, q); err != nil {
		return AccessToken{}, err
	}
	if refreshErr != nil && !alive(&c.rec, now) {
		return AccessToken{}, refreshErr
	}
	c.lastUsed = now
	return accessToken(c), nil
}

func accessToken(c *connection) AccessToken {
	return AccessToken{
		Token:        c.rec.Token.Access,
		Key:          c.rec.Token.Key,
		Type:         c.rec.Token.Type,
		Expiry:       c.rec.Token.Expiry,
		Granted:      c.rec.Granted,
		ConnectionID: c.rec.ID,
		Generation:   c.rec.Generation,
	}
}
