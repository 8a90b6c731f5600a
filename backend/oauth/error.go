package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"keyturn/backend/fault"
)

// Kind says what is known after a call that failed, which is what decides
// whether it may be tried again.
type Kind int

// The kinds. The zero Kind is not one.
const (
	// Refused: the server answered with an OAuth error code (RFC 6749 section
	// 5.2), or with 401 or 403 and no code; then Code is empty.
	Refused Kind = iota + 1
	// Outage: no answer that says anything about the grant: network, timeout,
	// 429, 5xx, a redirect, a page instead of JSON.
	Outage
	// OutcomeUnknown: the request was sent and the answer did not come, or
	// came in part. What was sent may have been used up.
	OutcomeUnknown
	// Malformed: the server said 200 and sent nothing that can be used.
	Malformed
)

func (k Kind) String() string {
	switch k {
	case Refused:
		return "refused"
	case Outage:
		return "outage"
	case OutcomeUnknown:
		return "outcome unknown"
	case Malformed:
		return "malformed"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// What a call was for; the values of Error.Op.
const (
	opExchange  = "exchange"
	opRefresh   = "refresh"
	opRevoke    = "revoke"
	opIDToken   = "id_token"
	opJWKS      = "jwks"
	opIdentity  = "identity"
	opPing      = "ping"
	opDiscovery = "discovery"
	opResource  = "resource"
	opProtected = "resource metadata"
	opRegister  = "registration"
	opPushed    = "pushed authorization request"
	opDevice    = "device"
	opPoll      = "poll"
	opDocument  = "document"
)

// Error is a call to an authorization server that failed. Its text is for the
// log: it holds no URL and, but for Code, nothing that the server wrote.
type Error struct {
	Op     string // exchange, refresh, revoke, id_token, jwks, identity, ping, discovery, resource, device, poll
	Status int    // HTTP status; 0 when there was no answer
	// Code is the error code (RFC 6749 section 5.2), "other" when it is not in
	// the alphabet of the RFC.
	Code       string
	RetryAfter time.Duration // 1 s to 1 h; 0 when the server named none
	Kind       Kind
	Unsent     bool // nothing of the request left this machine

	reason string // in our own words
	cause  error  // for errors.Is; not in the text, for it may hold addresses
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Op, e.Kind)
	if e.Code != "" {
		fmt.Fprintf(&b, ": %s", e.Code)
	}
	if e.reason != "" {
		fmt.Fprintf(&b, ": %s", e.reason)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.cause }

// The reasons that Fault words differently.
const (
	reasonClock   = "certificate is not valid at this computer's time"
	reasonTrust   = "certificate is not trusted"
	reasonName    = "name was not found"
	reasonBlocked = "address is not a public one"
	reasonTimeout = "no answer in time"
)

// reasonFor words a network error without its addresses.
func reasonFor(err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return reasonClock
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return reasonTrust
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return reasonName
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errBlocked):
		return reasonBlocked
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return reasonTimeout
	}
	return "connection failed"
}

// Fault tells people about an error of this package: a stable code, and a
// sentence that names the provider and what to do next. An error that is a
// fault already is returned as it is; nil stays nil.
func Fault(err error, provider string) *fault.Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return fault.Wrap(err, fault.Cancelled, "The request was cancelled.")
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return fault.Wrap(err, fault.Internal, "%s", fault.MessageOf(err))
	}
	wrap := func(code fault.Code, format string) *fault.Error {
		return fault.Wrap(err, code, format, provider)
	}
	switch e.Op {
	case opIDToken, opJWKS:
		return wrap(fault.IdentityFailed, "The identity that %s sent could not be verified, so nothing was stored. Check that this computer's clock is right, then try again.")
	case opIdentity, opPing:
		if e.Kind != Outage && e.Kind != OutcomeUnknown {
			return wrap(fault.IdentityFailed, "%s did not say whose account this is. Try again; if it stays so, ask for the scope that lets apps read your profile.")
		}
	case opDiscovery:
		if e.Kind == Malformed {
			return wrap(fault.DiscoveryFailed, "The description that %s publishes could not be used.")
		}
	}
	switch e.Kind {
	case Refused:
		return refusal(e, provider)
	case OutcomeUnknown:
		if e.Op == opExchange {
			return wrap(fault.ExchangeOutcomeUnknown, "%s did not answer in time, so it is not known whether the connection was made. Start again.")
		}
	case Malformed:
		if e.Op == opExchange {
			return wrap(fault.ExchangeFailed, "%s sent an answer that Keyturn cannot use. Start again; if it stays so, check the provider's settings.")
		}
		return wrap(fault.ProviderError, "%s sent an answer that Keyturn cannot use. Try again later.")
	}
	return outage(e, provider)
}

// refusal words an OAuth error code. Codes that the RFCs do not list are the
// server's own words and stay in the log.
func refusal(e *Error, provider string) *fault.Error {
	code := fault.ProviderError
	if e.Op == opExchange {
		code = fault.ExchangeFailed
	}
	switch e.Code {
	case "access_denied":
		return fault.Wrap(e, fault.Denied, "Access was denied at %s. Nothing was connected.", provider)
	case "expired_token": // RFC 8628 section 3.5
		return fault.Wrap(e, fault.Expired, "The code for %s was not entered in time. Start again.", provider)
	case "invalid_client", "unauthorized_client":
		return fault.Wrap(e, code, "%s did not accept the OAuth app. Check its client ID and client secret.", provider)
	case "invalid_grant":
		if e.Op == opRefresh {
			return fault.Wrap(e, fault.NeedsReconnect, "%s no longer accepts this connection. Connect again.", provider)
		}
		return fault.Wrap(e, code, "%s did not accept the authorization (invalid_grant). Start again.", provider)
	case "invalid_scope":
		return fault.Wrap(e, code, "%s does not know one of the scopes. Check the scopes and start again.", provider)
	case "invalid_request", "unsupported_grant_type", "unsupported_token_type":
		return fault.Wrap(e, code, "%s refused the request (%s). Check the provider's settings.", provider, e.Code)
	}
	return fault.Wrap(e, code, "%s refused the request. The log has its error code.", provider)
}

func outage(e *Error, provider string) *fault.Error {
	switch {
	case e.Status == 429:
		if e.RetryAfter > 0 {
			return fault.Wrap(e, fault.RateLimited, "%s asks to slow down. Try again in %s.", provider, e.RetryAfter.Round(time.Second))
		}
		return fault.Wrap(e, fault.RateLimited, "%s asks to slow down. Try again later.", provider)
	case e.reason == reasonClock:
		return fault.Wrap(e, fault.ProviderUnavailable, "The certificate of %s is not valid at this computer's date and time. Check the clock, then try again.", provider)
	case e.reason == reasonTrust:
		return fault.Wrap(e, fault.ProviderUnavailable, "The certificate of %s is not trusted by this computer. A proxy or a sign-in page of the network may be in the way.", provider)
	case e.reason == reasonName:
		return fault.Wrap(e, fault.ProviderUnavailable, "The address of %s was not found. Check the network connection, then try again.", provider)
	case e.reason == reasonBlocked:
		return fault.Wrap(e, fault.ProviderUnavailable, "An address of %s leads into a private network and was not contacted. Register the provider with that host if this is meant.", provider)
	case e.Status == 0:
		return fault.Wrap(e, fault.ProviderUnavailable, "%s could not be reached. Check the network connection, then try again.", provider)
	}
	return fault.Wrap(e, fault.ProviderUnavailable, "%s is not working right now. Try again later.", provider)
}
