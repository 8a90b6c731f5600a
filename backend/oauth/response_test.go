package oauth_test

import (
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestAuthorizationResponses(t *testing.T) {
	for _, c := range []struct{ name, query, code, errorCode string }{
		{"CB-01 code", "code=abc&state=s", "abc", ""},
		{"CB-37 error", "error=access_denied&error_description=x&error_uri=y&state=s", "", "access_denied"},
		{"CB-29 others are ignored", "code=abc&state=s&session_state=1&scope=a&scope=b&foo", "abc", ""},
		{"encoded names", "%63ode=abc&st%61te=s", "abc", ""},
		{"plus is a blank", "code=a+b&state=s", "a b", ""},
		{"CB-38 5 KiB", "error=" + strings.Repeat("e", 5<<10) + "&state=s", "", "other"},
		{"CB-38 quotes", `error=a%22b&state=s`, "", "other"},
		{"CB-38 backslash", `error=a%5Cb&state=s`, "", "other"},
		{"CB-38 escape", "error=a%1B%5B2J&state=s", "", "other"},
		{"CB-38 blanks", "error=a%20b&state=s", "", "a b"},
		{"CB-38 unknown code", "error=no_such_code&state=s", "", "no_such_code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, r, err := oauth.ParseAuthorizationResponse(c.query)
			if err != nil || state != "s" || r.Code.Reveal() != c.code || r.Error != c.errorCode || r.Iss != nil {
				t.Errorf("state %q code %q error %q: %v", state, r.Code.Reveal(), r.Error, err)
			}
		})
	}
	for _, c := range []struct{ name, query string }{
		{"nothing", ""},
		{"CB-05 error without state", "error=access_denied"},
		{"CB-12 code twice", "code=a&code=a&state=s"},
		{"CB-12 code twice, one encoded", "code=a&%63ode=b&state=s"},
		{"CB-12 state twice", "code=a&state=s&state=s"},
		{"CB-12 iss twice", "code=a&state=s&iss=x&iss=x"},
		{"CB-12 error twice", "error=a&error=b&state=s"},
		{"CB-12 description twice", "error=a&error_description=b&error_description=c&state=s"},
		{"CB-13 code and error", "code=c&error=e&state=s"},
		{"CB-13 code and an empty error", "code=c&error=&state=s"},
		{"CB-14 state only", "state=s"},
		{"CB-14 empty code", "code=&state=s"},
		{"CB-14 empty error", "error=&state=s"},
		{"CB-14 empty state", "code=c&state="},
		{"CB-28 CRLF", "code=a%0d%0aX:+y&state=s"},
		{"CB-28 NUL", "code=%00&state=s"},
		{"CB-28 non-ASCII", "code=%c3%a4&state=s"},
		{"CB-28 NUL in state", "code=a&state=%00"},
		{"bad encoding", "code=a%2&state=s"},
		{"bad encoding elsewhere", "code=a&state=s&x=%zz"},
		{"semicolon", "code=a;state=s"},
		{"semicolon elsewhere", "code=a&state=s&x=1;code=b"},
		{"FL-07 10 000 parameters", "code=a&state=s" + strings.Repeat("&a=b", 10_000)},
		{"101 parameters", "code=a&state=s" + strings.Repeat("&a", 99)},
		{"9 KiB", "code=" + strings.Repeat("a", 9<<10) + "&state=s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, r, err := oauth.ParseAuthorizationResponse(c.query)
			if err == nil || state != "" || !r.Code.IsZero() || r.Error != "" {
				t.Errorf("state %q code %q error %q: %v", state, r.Code.Reveal(), r.Error, err)
			}
		})
	}
}

func TestIssTellsServersApart(t *testing.T) {
	const issuer = "https://as.example"
	iss := func(s string) *string { return &s }
	supports := oauth.Server{Issuer: issuer, IssParameter: true}
	silent := oauth.Server{Issuer: issuer}
	for _, c := range []struct {
		name   string
		server oauth.Server
		iss    *string
		want   fault.Code
	}{
		{"CB-22 missing where promised", supports, nil, fault.IssMissing},
		{"CB-23 another", supports, iss("https://evil.example"), fault.IssMismatch},
		{"CB-24 a slash more", supports, iss(issuer + "/"), fault.IssMismatch},
		{"CB-24 other letter case", supports, iss("https://AS.example"), fault.IssMismatch},
		{"CB-24 with the port", supports, iss(issuer + ":443"), fault.IssMismatch},
		{"CB-24 empty", supports, iss(""), fault.IssMismatch},
		{"CB-26 another, unpromised", silent, iss("https://evil.example"), fault.IssMismatch},
		{"CB-26 empty, unpromised", silent, iss(""), fault.IssMismatch},
		{"CB-26 absent, unpromised", silent, nil, ""},
		{"equal", supports, iss(issuer), ""},
		{"equal, unpromised", silent, iss(issuer), ""},
		{"promised by a server without a name", oauth.Server{IssParameter: true}, iss(""), fault.IssMismatch},
		{"nothing to compare with", oauth.Server{}, iss("https://as.example"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := oauth.CheckIss(c.server, oauth.AuthorizationResponse{Iss: c.iss})
			if fault.CodeOf(err) != c.want {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "example") {
				t.Errorf("the sentence repeats an issuer: %v", err)
			}
		})
	}
	t.Run("CB-25 an error comes with its iss", func(t *testing.T) {
		_, r, err := oauth.ParseAuthorizationResponse("error=access_denied&error_description=canary&iss=https%3A%2F%2Fevil.example&state=s")
		if err != nil {
			t.Fatal(err)
		}
		if err := oauth.CheckIss(supports, r); fault.CodeOf(err) != fault.IssMismatch || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	})
}
