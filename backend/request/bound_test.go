package request_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/request"
)

// wantsNonce answers as a resource server that wants a nonce in each proof (RFC
// 9449 section 9).
func wantsNonce(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
	w.Header().Set("DPoP-Nonce", "rs-1")
	w.WriteHeader(401)
}

func TestABoundTokenGoesWithAProof(t *testing.T) {
	refusals := 1
	n := &network{hosts: map[string]http.HandlerFunc{api: func(w http.ResponseWriter, r *http.Request) {
		if refusals > 0 {
			refusals--
			wantsNonce(w, r)
			return
		}
		io.WriteString(w, "fine")
	}}}
	g := acme()
	g.key = oauth.NewKey()
	c := call(api + "/things?x=1")
	c.Body = request.Bytes([]byte("body"))
	a, body, err := do(t, g, n, c)
	if err != nil || a.Status != 200 || body != "fine" || a.Note != "" {
		t.Fatalf("%+v %q %v", a, body, err)
	}
	all := n.at("")
	if _, renewals := g.counts(); renewals != 0 || len(all) != 2 || all[1].body != "body" {
		t.Fatalf("%d renewals, %+v", renewals, all)
	}
	for _, s := range all {
		if s.header.Get("Authorization") != "DPoP "+token(1) || strings.Count(s.header.Get("DPoP"), ".") != 2 {
			t.Errorf("%v", s.header)
		}
	}
	if all[0].header.Get("DPoP") == all[1].header.Get("DPoP") {
		t.Error("one proof for two requests")
	}

	t.Run("for ever", func(t *testing.T) {
		n := &network{hosts: map[string]http.HandlerFunc{api: wantsNonce}}
		a, _, err := do(t, g, n, call(api+"/"))
		if err != nil || a.Status != 401 || len(n.at("")) > 3 {
			t.Errorf("%+v %v after %d requests", a, err, len(n.at("")))
		}
	})
	t.Run("a stream that was read is asked for again", func(t *testing.T) {
		n := &network{hosts: map[string]http.HandlerFunc{api: wantsNonce}}
		c := call(api + "/")
		c.Body, c.Resend = request.Stream(strings.NewReader("stream"), -1), true
		a, _, err := do(t, g, n, c)
		if err != nil || !a.Again || len(n.at("")) != 1 {
			t.Errorf("%+v %v after %d requests", a, err, len(n.at("")))
		}
	})
}

func TestMoreScopesAreNamedWithTheCommandThatAsksForThem(t *testing.T) { // RFC 6750 section 3.1
	for challenge, says := range map[string]string{
		`Bearer error="insufficient_scope", scope="read write admin:org"`: "does not include write, admin:org. Ask for it with: keyturn connect acme --add-scopes write,admin:org",
		`Bearer error="insufficient_scope"`:                               "does not include what this request needs.",
		`Bearer error="insufficient_scope", scope="$(id) --yes ;ls"`:      "does not include what this request needs.",
		`Bearer error="invalid_token"`:                                    "",
		`Basic realm="x"`:                                                 "",
	} {
		n := &network{hosts: map[string]http.HandlerFunc{api: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(403)
		}}}
		g := acme()
		g.granted = []string{"read"}
		a, _, err := do(t, g, n, call(api+"/"))
		if err != nil || a.Status != 403 || !strings.Contains(a.Note, says) || (says == "") != (a.Note == "") {
			t.Errorf("%s: %q %v", challenge, a.Note, err)
		}
		if (a.Code == fault.ScopeInsufficient) != (says != "") {
			t.Errorf("%s: %s", challenge, a.Code)
		}
	}
}
