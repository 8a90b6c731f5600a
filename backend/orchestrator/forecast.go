package orchestrator

import (
	"slices"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

// forecast says when the user will have to sign in again at p, and why: the
// earliest of what the provider told and what its entry knows.
func forecast(p *provider.Provider, r *Record, renewable bool, now time.Time) Forecast {
	name := p.Name
	if name == "" {
		name = r.Provider
	}
	if !renewable {
		if r.Token.Expiry.IsZero() {
			return Forecast{} // it says of itself that it does not end
		}
		f := Forecast{At: r.Token.Expiry, Reason: fault.NoRefreshToken, Says: name + " issued no refresh token: you sign in again when this token ends."}
		f.Fix, f.Scopes = wayToRefresh(p, r)
		return f
	}
	if r.Token.Refresh.IsZero() {
		return Forecast{} // the access token renews itself
	}
	if end := refreshEnd(p, r); !end.IsZero() {
		f := Forecast{At: end, Reason: fault.RefreshTokenEnds, Says: name + " ends this approval then, whatever is done until then."}
		if slides(p, r) {
			f.Says = name + " ends this approval then, unless it is used before."
		}
		return f
	}
	return Forecast{}
}

// wayToRefresh says what to do to be given a refresh token.
func wayToRefresh(p *provider.Provider, r *Record) (fix string, scopes []string) {
	scope := p.Refresh.Scope
	if scope == "" && p.Issuer != "" {
		scope = "offline_access" // OpenID Connect Core section 11
	}
	switch {
	case scope != "" && !slices.Contains(r.Requested, scope):
		return "Connect again with the scope " + scope + " to be given one.", append(slices.Clone(r.Requested), scope)
	case p.Refresh.Advice != "":
		return p.Refresh.Advice, nil
	}
	return "", nil
}

// refreshEnd is when the refresh token of r ends, as far as is known; zero:
// not known.
func refreshEnd(p *provider.Provider, r *Record) time.Time {
	if !r.Token.RefreshExpiry.IsZero() {
		return r.Token.RefreshExpiry
	}
	switch {
	case p.Refresh.Lifetime == 0:
		return time.Time{}
	case p.Refresh.Sliding:
		return r.Refreshed.Add(p.Refresh.Lifetime)
	case r.Authorized.IsZero():
		return r.Created.Add(p.Refresh.Lifetime)
	}
	return r.Authorized.Add(p.Refresh.Lifetime)
}

// slides reports whether a refresh moves the end of the refresh token.
func slides(p *provider.Provider, r *Record) bool {
	if !r.Token.RefreshExpiry.IsZero() {
		return p.Refresh.Rotation != "never" // a new one comes with an end of its own
	}
	return p.Refresh.Sliding
}
