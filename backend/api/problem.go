package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// statusOf says which HTTP status a code has. A code that is not here is 500.
var statusOf = map[fault.Code]int{
	fault.BadRequest:           http.StatusBadRequest,
	fault.NoApp:                http.StatusBadRequest,
	fault.ClientSecretRequired: http.StatusBadRequest,

	fault.Forbidden:      http.StatusForbidden,
	fault.HostNotAllowed: http.StatusForbidden,

	fault.UnknownProvider: http.StatusNotFound,
	fault.UnknownApp:      http.StatusNotFound,
	fault.NotConnected:    http.StatusNotFound,
	fault.StateUnknown:    http.StatusNotFound,
	fault.NotFound:        http.StatusNotFound,

	// The request is fine, the state of things is not.
	fault.Ambiguous:            http.StatusConflict,
	fault.Cancelled:            http.StatusConflict,
	fault.ConfigChanged:        http.StatusConflict,
	fault.Conflict:             http.StatusConflict,
	fault.Denied:               http.StatusConflict,
	fault.Expired:              http.StatusConflict,
	fault.GrantGone:            http.StatusConflict,
	fault.GatewayUnreachable:   http.StatusBadGateway,
	fault.CoolingDown:          http.StatusTooManyRequests,
	fault.GatewayRequiresPKCE:  http.StatusBadRequest,
	fault.FileDamaged:          http.StatusConflict,
	fault.NeedsReconnect:       http.StatusConflict,
	fault.NewerVersion:         http.StatusConflict,
	fault.WrongPassphrase:      http.StatusConflict,
	fault.NoBrowser:            http.StatusConflict,
	fault.NoRefreshToken:       http.StatusConflict,
	fault.AccountChanged:       http.StatusConflict,
	fault.TestingEnds:          http.StatusConflict,
	fault.RefreshTokenEnds:     http.StatusConflict,
	fault.PortInUse:            http.StatusConflict,
	fault.PossibleLostRotation: http.StatusConflict,
	fault.ScopeInsufficient:    http.StatusConflict,
	fault.Superseded:           http.StatusConflict,

	fault.RateLimited: http.StatusTooManyRequests,

	fault.Internal: http.StatusInternalServerError,

	// The provider's part.
	fault.ClientRefused:          http.StatusBadGateway,
	fault.RegistrationFailed:     http.StatusBadGateway,
	fault.DiscoveryFailed:        http.StatusBadGateway,
	fault.ExchangeFailed:         http.StatusBadGateway,
	fault.ExchangeOutcomeUnknown: http.StatusBadGateway,
	fault.IdentityFailed:         http.StatusBadGateway,
	fault.IssMismatch:            http.StatusBadGateway,
	fault.IssMissing:             http.StatusBadGateway,
	fault.ProviderError:          http.StatusBadGateway,
	fault.ProviderUnavailable:    http.StatusBadGateway,

	// This machine's part.
	fault.Unreachable:  http.StatusServiceUnavailable,
	fault.StoreDamaged: http.StatusServiceUnavailable,
	fault.Paused:       http.StatusServiceUnavailable,
	fault.StoreLocked:  http.StatusServiceUnavailable,
	fault.DiskFull:     http.StatusInsufficientStorage,
}

// retryAfter is what a caller is told to wait when the orchestrator has too
// many attempts; a provider's own word goes first.
const retryAfter = 10 * time.Second

// problem is the answer to a request that failed.
type problem struct {
	wire.Problem
	header http.Header
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.header }
func (p *problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code fault.Code, detail string) *problem {
	return &problem{Problem: wire.Problem{
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
		Code:   string(code),
	}}
}

// problemOf is the one way from an error to an answer.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	code := fault.CodeOf(err)
	status, ok := statusOf[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	p := newProblem(status, code, fault.MessageOf(err))
	if status == http.StatusTooManyRequests {
		wait := retryAfter
		if said, ok := errors.AsType[*oauth.Error](err); ok && said.RetryAfter > 0 {
			wait = said.RetryAfter
		}
		p.header = http.Header{"Retry-After": {strconv.Itoa(int((wait + time.Second - 1) / time.Second))}}
	}
	return p
}

// fail turns the error of a handler into its answer. What is our own fault is
// logged with its cause; the answer holds only the sentence.
func (s *Server) fail(ctx context.Context, operation string, err error) *problem {
	p := problemOf(err)
	if ctx.Err() != nil {
		return p // the caller has hung up: nobody reads this, and nothing is wrong
	}
	if p.Status == http.StatusInternalServerError {
		s.log.Error("request failed", slog.String("operation", operation), slog.String("error", chain(err)))
	}
	return p
}

// chain writes an error with its causes, which a fault keeps to itself.
func chain(err error) string {
	var parts []string
	for ; err != nil; err = errors.Unwrap(err) {
		if text := err.Error(); len(parts) == 0 || !strings.HasSuffix(parts[len(parts)-1], text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ": ")
}

func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p.Problem)
}

func badRequest(format string, args ...any) error {
	return fault.New(fault.BadRequest, format, args...)
}

func init() {
	// huma matches member names in any letter case unless told otherwise, says
	// that every list may be null, and has an error document of its own. This
	// can be set for the whole program only, and this package is the only one
	// that uses huma.
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError { return refusal(status, errs) }
	huma.NewErrorWithContext = func(_ huma.Context, status int, _ string, errs ...error) huma.StatusError {
		return refusal(status, errs)
	}
}

// refusal is what huma answers when a request does not fit the table. The
// values that were sent are not repeated: one of them may be a secret.
func refusal(status int, errs []error) *problem {
	if status >= http.StatusInternalServerError {
		return problemOf(errors.New("huma: unexpected"))
	}
	var says []string
	for _, err := range errs {
		d, ok := err.(*huma.ErrorDetail)
		if !ok || len(says) == 3 {
			continue
		}
		where := strings.TrimPrefix(strings.TrimPrefix(d.Location, "body"), ".")
		switch {
		case d.Message == validation.MsgUnexpectedProperty:
			says = append(says, where+" is not a known member")
		case where == "":
			says = append(says, d.Message)
		default:
			says = append(says, where+": "+d.Message)
		}
	}
	if len(says) == 0 {
		says = []string{"it needs a JSON object as its body"}
	}
	return newProblem(http.StatusBadRequest, fault.BadRequest,
		"The request is not valid: "+text.Clean(strings.Join(says, "; "), 400)+".")
}
