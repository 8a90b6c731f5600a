// Package fault is the one error type of Keyturn: a stable code for programs
// and a sentence for people.
//
// Codes are part of the contract (CLI, local API): they are added to, never
// renamed. The sentence is written by us, starts with a capital, says what
// happened and what to do next, and never holds a secret, a URL with a query,
// or a provider's own words.
package fault

import (
	"errors"
	"fmt"
)

// Code names one kind of failure. The zero value is not a code.
type Code string

// The codes of the contract.
const (
	Unreachable            Code = "unreachable"
	UnknownProvider        Code = "unknown_provider"
	UnknownApp             Code = "unknown_app"
	NoApp                  Code = "no_app"
	ClientSecretRequired   Code = "client_secret_required"
	Ambiguous              Code = "ambiguous"
	NotConnected           Code = "not_connected"
	NeedsReconnect         Code = "needs_reconnect"
	Denied                 Code = "denied"
	Expired                Code = "expired"
	Cancelled              Code = "cancelled"
	Superseded             Code = "superseded"
	StateUnknown           Code = "state_unknown"
	IssMissing             Code = "iss_missing"
	IssMismatch            Code = "iss_mismatch"
	ExchangeFailed         Code = "exchange_failed"
	ExchangeOutcomeUnknown Code = "exchange_outcome_unknown"
	IdentityFailed         Code = "identity_failed"
	ScopeInsufficient      Code = "scope_insufficient"
	ProviderUnavailable    Code = "provider_unavailable"
	RateLimited            Code = "rate_limited"
	PortInUse              Code = "port_in_use"
	NoBrowser              Code = "no_browser"
	Paused                 Code = "paused"
	StoreLocked            Code = "store_locked"
	StoreDamaged           Code = "store_damaged"
	DiskFull               Code = "disk_full"
	Forbidden              Code = "forbidden"
	BadRequest             Code = "bad_request"
	Internal               Code = "internal"

	// Beyond the first list of the contract.
	ProviderError      Code = "provider_error"      // the provider answered with an OAuth error that has no code of ours
	RegistrationFailed Code = "registration_failed" // an authorization server did not register Keyturn
	DiscoveryFailed    Code = "discovery_failed"    // an issuer's metadata could not be read or was refused
	Conflict           Code = "conflict"            // the thing exists already, or is still in use
	NotFound           Code = "not_found"           // the named thing does not exist
	WrongPassphrase    Code = "wrong_passphrase"    // of an exported file
	FileDamaged        Code = "file_damaged"        // an exported file cannot be read
	NewerVersion       Code = "newer_version"       // an exported file is one of a newer Keyturn
	HostNotAllowed     Code = "host_not_allowed"    // the provider's entry does not name the host: no token goes there

	CoolingDown         Code = "cooling_down"          // the same failed a moment ago, and a program asks again
	GatewayUnreachable  Code = "gateway_unreachable"   // no gateway of ours answers at its address, or it does not pass callbacks on
	GatewayRequiresPKCE Code = "gateway_requires_pkce" // nothing but PKCE would keep a gateway from using the code, and the provider does not document it

	// Why a connection is not simply connected.
	GrantGone            Code = "grant_gone"             // the provider says invalid_grant: revoked or expired
	PossibleLostRotation Code = "possible_lost_rotation" // the same, after a refresh whose answer was lost
	ClientRefused        Code = "client_refused"         // the provider refuses the OAuth app, not the grant
	ConfigChanged        Code = "config_changed"         // the provider's entry now names another origin
	NoRefreshToken       Code = "no_refresh_token"       // the token ended and nothing can renew it
	AccountChanged       Code = "account_changed"        // a refresh was answered for another account
	TestingEnds          Code = "testing_ends"           // the same as grant_gone, at the age that the provider gives apps in test mode

	// Why the user will have to sign in again.
	RefreshTokenEnds Code = "refresh_token_ends" // the refresh token has an end
)

// Error is a failure with a code. Its text is the sentence for people; the
// cause, if any, is for the log and for errors.Is.
type Error struct {
	Code    Code
	Message string
	cause   error
}

// New returns an error with a code and a formatted sentence.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error with a code and a sentence, and keeps cause for the log.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error with the same code, so that
// errors.Is(err, fault.New(fault.Denied, "")) asks for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// CodeOf returns the code of err, Internal for an error without one and ""
// for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// MessageOf returns the sentence for people. An error without a code is a bug
// or a failure of the machine: its own text stays in the log.
func MessageOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "Something went wrong inside Keyturn. The log has the details."
}
