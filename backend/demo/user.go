package demo

import "net/url"

// Approve plays a user who opens an authorization URL, chooses an account
// ("ada" or "grace") and allows what is asked, or only some scopes of it. It
// returns the address that the browser is then sent to.
//
// A request that a browser would see an error page for is a mistake in the
// test, and panics.
func (s *Server) Approve(authorizationURL, account string, only ...string) (callbackURL string) {
	return s.play(authorizationURL, answered{account: account, answer: "allow", scopes: only})
}

// Deny plays a user who says no.
func (s *Server) Deny(authorizationURL string) (callbackURL string) {
	return s.play(authorizationURL, answered{answer: "deny"})
}

// Fail plays a user who has the server answer with an error code.
func (s *Server) Fail(authorizationURL, code string) (callbackURL string) {
	return s.play(authorizationURL, answered{answer: "fail", failure: code})
}

func (s *Server) play(authorizationURL string, u answered) string {
	parsed, err := url.Parse(authorizationURL)
	if err != nil {
		panic("demo: not an authorization URL: " + err.Error())
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		panic("demo: not an authorization URL: " + err.Error())
	}
	a, code, no := s.read(query)
	switch {
	case no != nil:
		panic("demo: " + no.sentence)
	case code != "":
		return s.respond(a, "error", code)
	case len(u.scopes) == 0:
		u.scopes = a.scopes
	}
	return s.decide(a, u)
}
