package oauth

import (
	"net/http"
	"strings"
)

// How much of a WWW-Authenticate header is read.
const (
	maxChallenge  = 8 << 10 // of all its lines together
	maxChallenges = 8
	maxAuthParams = 16 // of one challenge
)

// Challenge is how a resource server asked for a token (RFC 6750 section 3,
// RFC 9728 section 5.1, RFC 9449 section 7.1). Its fields are "" or nil for what
// it did not say, or said in a way that cannot be used.
type Challenge struct {
	Scheme           string   // "Bearer" or "DPoP"
	Error            string   // "invalid_token", "insufficient_scope" …
	Scopes           []string // what a token would have to have
	ResourceMetadata string   // where the resource describes itself; not checked yet
}

// ChallengeOf returns the first challenge of a 401 or 403 answer that asks for
// an OAuth token. What it holds is the word of a stranger.
func ChallengeOf(header http.Header) (Challenge, bool) {
	lines := header.Values("WWW-Authenticate")
	total := 0
	for _, line := range lines {
		if total += len(line); total > maxChallenge {
			return Challenge{}, false
		}
		for _, c := range challenges(line) {
			scheme := ""
			switch strings.ToLower(c.scheme) {
			case "bearer":
				scheme = "Bearer"
			case "dpop":
				scheme = "DPoP"
			default:
				continue
			}
			found := Challenge{Scheme: scheme, ResourceMetadata: c.params["resource_metadata"], Error: cleanErrorCode(c.params["error"])}
			if c.params["error"] == "" {
				found.Error = ""
			}
			for _, s := range strings.Fields(c.params["scope"]) {
				if isScopeToken(s) && len(s) <= 256 && len(found.Scopes) < 100 {
					found.Scopes = append(found.Scopes, s)
				}
			}
			return found, true
		}
	}
	return Challenge{}, false
}

// rawChallenge is one challenge as it is written (RFC 9110 section 11.6.1),
// names of parameters in small letters.
type rawChallenge struct {
	scheme string
	params map[string]string
}

// challenges reads one line. It stops at the first thing that no challenge is
// made of, and returns what came before it.
func challenges(line string) (all []rawChallenge) {
	rest := line
	for len(all) < maxChallenges {
		rest = strings.TrimLeft(rest, " \t,")
		scheme, after := authToken(rest)
		if scheme == "" {
			return all
		}
		c := rawChallenge{scheme: scheme, params: map[string]string{}}
		rest = after
		for n := 0; n < maxAuthParams; n++ {
			name, value, after, ok := authParam(rest)
			if !ok {
				break
			}
			if _, twice := c.params[name]; twice {
				return all
			}
			c.params[name] = value
			rest = after
		}
		all = append(all, c)
		if rest == "" || len(rest) == len(line) {
			return all
		}
	}
	return all
}

// authToken reads a token (RFC 9110 section 5.6.2).
func authToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && (isAlnum(s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

// authParam reads one name=value, and a comma before it.
func authParam(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t,")
	name, s = authToken(s)
	s = strings.TrimLeft(s, " \t")
	if name == "" || !strings.HasPrefix(s, "=") {
		return "", "", "", false
	}
	s = strings.TrimLeft(s[1:], " \t")
	name = strings.ToLower(name)
	if !strings.HasPrefix(s, `"`) {
		value, rest = authToken(s)
		// Some servers forget the quotes around an address.
		for rest != "" && strings.IndexByte(":/?=@[]", rest[0]) >= 0 {
			more, after := authToken(rest[1:])
			value, rest = value+rest[:1]+more, after
		}
		return name, value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return name, b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", "", false // a quote without an end
}
