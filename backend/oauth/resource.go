package oauth

import (
	"cmp"
	"crypto/x509"
	"net/http"
	"net/http/httptrace"
	"time"
)

// Resource sends one request to a resource server (RFC 6749 section 1.1) and
// returns the answer when its header is there. The address rules of this
// package hold for it, and the user's proxy; nothing is followed, stored,
// decompressed or sent a second time. Where the token may go is for the caller
// to decide, who has put it into req; so is how long all of it may take.
//
// The error is an *Error, whose Unsent says that the request never left.
func (h *HTTP) Resource(req *http.Request, s Server) (*http.Response, error) {
	failed := &Error{Op: opResource, Kind: Outage, Unsent: true}
	if err := cmp.Or(req.Context().Err(), h.limitReach(req, s)); err != nil {
		closeBody(req)
		failed.reason, failed.cause = reasonFor(err), err
		return nil, failed
	}
	req.GetBody = nil
	req.Close = true // so net/http keeps back a body that a server refuses when asked first
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", h.userAgent)
	}
	var seen progress
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), seen.trace()))
	resp, err := h.resources.RoundTrip(req)
	if err != nil {
		failed.reason, failed.cause = reasonFor(err), err
		if failed.Unsent = seen.unsent(err); !failed.Unsent {
			failed.Kind = OutcomeUnknown
		}
		return nil, failed
	}
	h.nonces.note(req.URL.String(), resp.Header)
	return resp, nil
}

// closeBody keeps the promise of http.RoundTripper where none is asked.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// guardedForResources is guarded for answers that may take long to begin. A
// request that says Expect waits a moment to be told to go on.
func guardedForResources(roots *x509.CertPool) *http.Transport {
	t := guarded(roots)
	t.ResponseHeaderTimeout = 0
	t.ExpectContinueTimeout = time.Second
	t.WriteBufferSize, t.ReadBufferSize = 32<<10, 32<<10
	return t
}
