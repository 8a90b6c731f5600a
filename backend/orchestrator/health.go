package orchestrator

import (
	"time"

	"keyturn/backend/fault"
)

// health says in words how a connection is. Tray, window, command line and API
// show this sentence and no other, so that a person who reads it in one place
// finds it in the next.
func health(v Connection, unsaved fault.Code, now time.Time) string {
	switch v.Status {
	case Retrying:
		return "retrying since " + clock(v.Since, now) + tries(v.NextTry, now) + ": " + because(v.ProviderName, v.Reason)
	case NeedsReconnect:
		return "needs reconnecting because " + because(v.ProviderName, v.Reason)
	case Revoking:
		return "disconnected; revoking since " + clock(v.Since, now) + tries(v.NextTry, now) + ": " + because(v.ProviderName, v.Reason)
	}
	switch {
	case !v.Unsaved:
		return "connected"
	case unsaved == fault.DiskFull:
		return "connected, but its newest token could not be saved: the disk is full or read-only. Do not quit Keyturn"
	}
	return "connected, but its newest token could not be saved. Do not quit Keyturn"
}

func tries(next, now time.Time) string {
	if !next.After(now) {
		return ", next try now"
	}
	return ", next try " + clock(next, now)
}

// clock is a moment as people say it: the time, and the day when it is another.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04:05")
	case t.Sub(now).Abs() < 300*24*time.Hour:
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006")
}

// because completes a sentence about a provider with the reason for something.
func because(name string, why fault.Code) string {
	switch why {
	case fault.GrantGone:
		return name + " ended the grant: it was revoked there, or was not used for too long"
	case fault.TestingEnds:
		return name + " ended the grant after as long as it lets an app in test mode have one. Publish the OAuth app to be rid of that"
	case fault.RefreshTokenEnds:
		return name + " let the refresh token run out"
	case fault.PossibleLostRotation:
		return name + " refused the refresh token, probably because the answer to the last refresh was lost"
	case fault.AccountChanged:
		return name + " answered for another account than the one you connected"
	case fault.ClientRefused:
		return name + " refuses the OAuth app: check its client id and secret"
	case fault.ProviderError:
		return name + " answers with an error. The log has its code"
	case fault.ConfigChanged:
		return name + " has another token endpoint than when you connected"
	case fault.NoRefreshToken:
		return name + " issued a token that has ended, and no refresh token to renew it"
	case fault.UnknownProvider:
		return "the provider " + name + " is no longer known"
	case fault.NoApp, fault.UnknownApp, fault.ClientSecretRequired:
		return "the OAuth app of " + name + " is not there any more, or lacks its secret"
	case fault.RateLimited:
		return name + " asks to slow down"
	case fault.ProviderUnavailable:
		return name + " cannot be reached, or does not work right now"
	case fault.DiskFull:
		return "the disk is full or read-only, and without a note on it a refresh could cost the grant"
	case fault.StoreLocked:
		return "the key that seals your tokens is not available"
	case "":
		return name + " has not answered yet"
	}
	return name + " needs your approval again"
}
