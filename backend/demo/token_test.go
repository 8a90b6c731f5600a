package demo_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
)

func TestACodeBecomesTokensThatWork(t *testing.T) {
	r := start(t, demo.Options{})
	a := r.exchange(r.code(nil), nil)
	if a.status != http.StatusOK || a.text("token_type") != "Bearer" || a.json["expires_in"] != 3600.0 || a.text("scope") != "profile email notes.read" || a.text("id_token") != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("RFC 6749 section 5.1: tokens may be cached")
	}
	access := a.text("access_token")
	who := r.get("/userinfo", access)
	if who.text("email") != "ada@example.com" || who.text("preferred_username") != "ada" || who.text("sub") == "" {
		t.Errorf("%s", who.body)
	}
	if notes := r.get("/notes", access); notes.status != http.StatusOK || !strings.Contains(notes.body, "engine") {
		t.Errorf("%d %s", notes.status, notes.body)
	}
	if n := r.as.Counts(); n.Exchanges != 1 || n.LiveGrants != 1 || n.Refused != 0 {
		t.Errorf("%+v", n)
	}
}

func TestACodeIsForOneClientOneAddressOneVerifier(t *testing.T) {
	r := start(t, demo.Options{Clients: []demo.Client{{ID: "other"}}})
	for name, changes := range map[string]map[string]string{
		"another client":        {"client_id": "other"},
		"another redirect URI":  {"redirect_uri": "http://127.0.0.1:40124/oauth/callback/demo"},
		"no redirect URI":       {"redirect_uri": "-"},
		"another verifier":      {"code_verifier": strings.Repeat("b", 43)},
		"no verifier":           {"code_verifier": "-"},
		"the challenge instead": {"code_verifier": challengeOf(verifier)},
		"another code":          {"code": "code_x"},
		"no code":               {"code": "-"},
	} {
		t.Run(name, func(t *testing.T) {
			code := r.code(nil)
			r.exchange(code, changes).want(t, http.StatusBadRequest, "invalid_grant")
		})
	}
	t.Run("a wrong verifier spends the code", func(t *testing.T) {
		code := r.code(nil)
		r.exchange(code, map[string]string{"code_verifier": strings.Repeat("b", 43)})
		r.exchange(code, nil).want(t, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("a short verifier is no verifier", func(t *testing.T) {
		code := r.code(map[string]string{"code_challenge": challengeOf("short")})
		r.exchange(code, map[string]string{"code_verifier": "short"}).want(t, http.StatusBadRequest, "invalid_grant")
	})
	if n := r.as.Counts(); n.LiveGrants != 0 || n.Exchanges != 0 {
		t.Errorf("%+v", n)
	}
}

func TestACodeLivesSixtySecondsAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, demo.Options{})
		code := r.code(nil)
		time.Sleep(60 * time.Second)
		r.exchange(code, nil).want(t, http.StatusBadRequest, "invalid_grant")

		code = r.code(nil)
		time.Sleep(59 * time.Second)
		a := r.exchange(code, nil)
		a.want(t, http.StatusOK, "")
		// RFC 6749 section 4.1.2: a second use ends what the first brought.
		r.exchange(code, nil).want(t, http.StatusBadRequest, "invalid_grant")
		if got := r.get("/userinfo", a.text("access_token")); got.status != http.StatusUnauthorized {
			t.Errorf("the access token still works: %d", got.status)
		}
		r.refresh(a.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_grant")
		if n := r.as.Counts(); n.Replays != 1 || n.LiveGrants != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestAccessTokensExpireAndScopesHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, demo.Options{AccessTTL: 5 * time.Minute, RefreshTTL: time.Hour})
		a := r.exchange(r.code(map[string]string{"scope": "profile"}), nil)
		access := a.text("access_token")
		if a.json["expires_in"] != 300.0 || a.json["refresh_token_expires_in"] != 3600.0 {
			t.Errorf("%s", a.body)
		}
		if got := r.get("/notes", access); got.status != http.StatusForbidden || !strings.Contains(got.header.Get("WWW-Authenticate"), "insufficient_scope") {
			t.Errorf("%d %v", got.status, got.header)
		}
		if got := r.get("/userinfo", access); got.text("email") != "" || got.text("name") == "" {
			t.Errorf("userinfo says more than was granted: %s", got.body)
		}
		time.Sleep(5 * time.Minute)
		if got := r.get("/userinfo", access); got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%d %v", got.status, got.header)
		}
		time.Sleep(55 * time.Minute)
		r.refresh(a.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_grant")
		for _, bearer := range []string{"", "nonsense"} {
			if got := r.get("/notes", bearer); got.status != http.StatusUnauthorized {
				t.Errorf("%q: %d", bearer, got.status)
			}
		}
	})
}

func TestRefreshTokensRotate(t *testing.T) {
	r := start(t, demo.Options{})
	first, token := r.connect()
	a := r.refresh(token)
	a.want(t, http.StatusOK, "")
	next := a.text("refresh_token")
	if next == "" || next == token || a.text("access_token") == first || a.text("scope") != "profile email notes.read" {
		t.Errorf("%s", a.body)
	}
	if got := r.get("/userinfo", first); got.status != http.StatusOK {
		t.Errorf("the access token before it stopped working: %d", got.status)
	}
	// RFC 9700 section 4.14.2: who uses an old one may be a thief.
	r.refresh(token).want(t, http.StatusBadRequest, "invalid_grant")
	r.refresh(next).want(t, http.StatusBadRequest, "invalid_grant")
	if n := r.as.Counts(); n.Replays != 1 || n.LiveGrants != 0 || n.Refreshes != 1 || n.Refused != 2 {
		t.Errorf("%+v", n)
	}
}

func TestWithGraceALostAnswerIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, demo.Options{Grace: 30 * time.Second})
		_, token := r.connect()
		r.refresh(token).want(t, http.StatusOK, "")
		time.Sleep(29 * time.Second)
		again := r.refresh(token)
		again.want(t, http.StatusOK, "")
		time.Sleep(time.Second)
		r.refresh(token).want(t, http.StatusBadRequest, "invalid_grant")
		r.refresh(again.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_grant")
	})
}

func TestRefreshCanKeepAndNarrow(t *testing.T) {
	r := start(t, demo.Options{KeepRefresh: true, Clients: []demo.Client{{ID: "other"}}})
	_, token := r.connect()
	ask := func(scope string) answer {
		return r.request("POST", "/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {demo.ClientID}, "refresh_token": {token}, "scope": {scope}})
	}
	narrow := ask("email")
	if narrow.text("scope") != "email" || narrow.text("refresh_token") != "" {
		t.Errorf("%s", narrow.body)
	}
	if got := r.get("/notes", narrow.text("access_token")); got.status != http.StatusForbidden {
		t.Errorf("the narrow token reaches the notes: %d", got.status)
	}
	ask("openid").want(t, http.StatusBadRequest, "invalid_scope")
	if wide := r.refresh(token); wide.text("scope") != "profile email notes.read" {
		t.Errorf("the grant itself became narrow: %s", wide.body)
	}
	r.request("POST", "/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"other"}, "refresh_token": {token}}).want(t, http.StatusBadRequest, "invalid_grant")
}

func TestRevocationEndsTheGrant(t *testing.T) {
	for _, which := range []string{"access", "refresh"} {
		r := start(t, demo.Options{Clients: []demo.Client{{ID: "other"}}})
		access, refresh := r.connect()
		token := map[string]string{"access": access, "refresh": refresh}[which]
		if a := r.request("POST", "/revoke", url.Values{"client_id": {"other"}, "token": {token}}); a.status != http.StatusOK || r.as.Counts().LiveGrants != 1 {
			t.Errorf("%s: another client ended it (%d)", which, a.status)
		}
		r.revoke(token).want(t, http.StatusOK, "")
		if got := r.get("/userinfo", access); got.status != http.StatusUnauthorized {
			t.Errorf("%s: the access token still works", which)
		}
		r.refresh(refresh).want(t, http.StatusBadRequest, "invalid_grant")
		r.revoke(token).want(t, http.StatusOK, "") // RFC 7009 section 2.2
		if n := r.as.Counts(); n.Revocations != 1 || n.LiveGrants != 0 {
			t.Errorf("%s: %+v", which, n)
		}
	}
	r := start(t, demo.Options{})
	r.revoke("-").want(t, http.StatusBadRequest, "invalid_request")
	r.request("POST", "/revoke", url.Values{"client_id": {"nobody"}, "token": {"x"}}).want(t, http.StatusUnauthorized, "invalid_client")
}

func TestTheUserCanEndGrants(t *testing.T) {
	r := start(t, demo.Options{})
	_, ada := r.connect()
	grace := r.exchange(query(t, r.as.Approve(r.ask(nil), "grace")).Get("code"), nil).text("refresh_token")
	r.as.End("ada")
	r.refresh(ada).want(t, http.StatusBadRequest, "invalid_grant")
	r.refresh(grace).want(t, http.StatusOK, "")
}

func TestClientsAuthenticateAsRegistered(t *testing.T) {
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(user)+":"+url.QueryEscape(password)))
	}
	uris := []string{"http://127.0.0.1/oauth/callback/demo"}
	r := start(t, demo.Options{Clients: []demo.Client{
		{ID: "either", Secret: "s:e/c r€t", RedirectURIs: uris},
		{ID: "basic", Secret: "s", Auth: "basic", RedirectURIs: uris},
		{ID: "post", Secret: "s", Auth: "post", RedirectURIs: uris},
	}})
	for _, c := range []struct {
		name   string
		form   map[string]string
		header string
		status int
		code   string
	}{
		{"Basic", map[string]string{"client_id": "-"}, basic("either", "s:e/c r€t"), 200, ""},
		{"in the body", map[string]string{"client_id": "either", "client_secret": "s:e/c r€t"}, "", 200, ""},
		{"a wrong secret", map[string]string{"client_id": "either", "client_secret": "s"}, "", 401, "invalid_client"},
		{"no secret", map[string]string{"client_id": "either"}, "", 401, "invalid_client"},
		{"a secret of a public client", map[string]string{"client_id": demo.ClientID, "client_secret": "s"}, "", 401, "invalid_client"},
		{"two ways at once", map[string]string{"client_id": "either", "client_secret": "s:e/c r€t"}, basic("either", "s:e/c r€t"), 400, "invalid_request"},
		{"two clients at once", map[string]string{"client_id": "post"}, basic("either", "s:e/c r€t"), 401, "invalid_client"},
		{"Basic, registered for it", map[string]string{"client_id": "basic"}, basic("basic", "s"), 200, ""},
		{"in the body, registered for Basic", map[string]string{"client_id": "basic", "client_secret": "s"}, "", 401, "invalid_client"},
		{"Basic, registered for the body", map[string]string{"client_id": "post"}, basic("post", "s"), 401, "invalid_client"},
		{"nobody", map[string]string{"client_id": "nobody"}, "", 401, "invalid_client"},
		{"Basic of another kind", map[string]string{"client_id": "-"}, "Bearer x", 401, "invalid_client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := c.form["client_id"]
			if client == "-" || client == "nobody" {
				client = "either"
			}
			form := map[string]string{"grant_type": "authorization_code", "code": r.code(map[string]string{"client_id": client}), "redirect_uri": redirect, "code_verifier": verifier}
			for k, v := range c.form {
				form[k] = v
			}
			var header []string
			if c.header != "" {
				header = []string{"Authorization", c.header}
			}
			a := r.request("POST", "/token", values(form), header...)
			a.want(t, c.status, c.code)
			if c.status == 401 && c.header != "" && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic") {
				t.Error("RFC 6749 section 5.2: no WWW-Authenticate")
			}
		})
	}
}

func TestMalformedTokenRequests(t *testing.T) {
	r := start(t, demo.Options{})
	good := values(map[string]string{"grant_type": "authorization_code", "client_id": demo.ClientID, "code": "x", "redirect_uri": redirect, "code_verifier": verifier})
	twice := url.Values{"grant_type": {"refresh_token", "authorization_code"}, "client_id": {demo.ClientID}}
	r.request("POST", "/token", twice).want(t, 400, "invalid_request")
	r.request("POST", "/token?code=x", good).want(t, 400, "invalid_request")
	r.request("POST", "/token", good, "Content-Type", "application/json").want(t, 400, "invalid_request")
	r.request("POST", "/token", good, "Content-Type", "text/plain").want(t, 400, "invalid_request")
	r.request("POST", "/token", values(map[string]string{"client_id": demo.ClientID})).want(t, 400, "invalid_request")
	r.request("POST", "/token", values(map[string]string{"client_id": demo.ClientID, "grant_type": "password"})).want(t, 400, "unsupported_grant_type")
	r.request("POST", "/token", values(map[string]string{"client_id": demo.ClientID, "grant_type": "refresh_token", "refresh_token": strings.Repeat("x", 100<<10)})).want(t, 400, "invalid_request")
}

func TestQuirks(t *testing.T) {
	connect := func(q demo.Quirks, header string, encode func(url.Values) string) answer {
		r := start(t, demo.Options{Quirks: q})
		form := values(map[string]string{"grant_type": "authorization_code", "client_id": demo.ClientID, "redirect_uri": redirect, "code_verifier": verifier})
		changes := map[string]string{"scope": "profile email"}
		if q.ScopeSeparator != "" {
			changes["scope"] = "profile" + q.ScopeSeparator + "email"
		}
		if q.ScopeParam != "" {
			changes[q.ScopeParam], changes["scope"] = changes["scope"], "-"
		}
		form.Set("code", r.code(changes))
		req, err := http.NewRequest("POST", r.as.Issuer()+"/token", strings.NewReader(encode(form)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", header)
		return r.do(req)
	}
	const asForm = "application/x-www-form-urlencoded"
	form := url.Values.Encode
	for _, c := range []struct {
		name   string
		quirks demo.Quirks
		says   string
	}{
		{"nested", demo.Quirks{Root: "authed_user", OKField: "ok"}, `"authed_user":{"access_token":"`},
		{"a boolean", demo.Quirks{OKField: "ok"}, `"ok":true`},
		{"commas", demo.Quirks{ScopeSeparator: ","}, `"scope":"profile,email"`},
		{"commas in answers", demo.Quirks{GrantedSeparator: ","}, `"scope":"profile,email"`},
		{"scopes under another name", demo.Quirks{ScopeParam: "user_scope"}, `"scope":"profile email"`},
		{"a type in small letters", demo.Quirks{TokenType: "bearer"}, `"token_type":"bearer"`},
		{"an expiry in quotes", demo.Quirks{ExpiryAsString: true}, `"expires_in":"3600"`},
		{"a form", demo.Quirks{FormAnswer: true}, `expires_in=3600&refresh_token=`},
	} {
		if a := connect(c.quirks, asForm, form); a.status != 200 || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	for name, c := range map[string]struct {
		quirks demo.Quirks
		absent string
	}{
		"no scope":   {demo.Quirks{NoScope: true}, "scope"},
		"no expiry":  {demo.Quirks{NoExpiry: true}, "expires_in"},
		"no type":    {demo.Quirks{TokenType: "none"}, "token_type"},
		"no refresh": {demo.Quirks{NoRefresh: true}, "refresh_token"},
	} {
		if a := connect(c.quirks, asForm, form); a.text("access_token") == "" || a.json[c.absent] != nil {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if a := connect(demo.Quirks{ContentType: "text/html"}, asForm, form); a.header.Get("Content-Type") != "text/html" || a.text("access_token") == "" {
		t.Errorf("%v", a.header)
	}
	asJSON := func(v url.Values) string {
		var b strings.Builder
		for name := range v {
			b.WriteString(`,"` + name + `":"` + v.Get(name) + `"`)
		}
		return "{" + b.String()[1:] + "}"
	}
	if a := connect(demo.Quirks{JSONBody: true}, "application/json", asJSON); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := connect(demo.Quirks{JSONBody: true}, asForm, form); a.status != 400 {
		t.Errorf("a form where JSON is wanted: %d", a.status)
	}
	for _, q := range []demo.Quirks{{ErrorsAre200: true}, {OKField: "ok"}} {
		r := start(t, demo.Options{Quirks: q})
		a := r.refresh("nonsense")
		a.want(t, 200, "invalid_grant")
		if q.OKField != "" && a.json["ok"] != false {
			t.Errorf("%s", a.body)
		}
	}
	r := start(t, demo.Options{Quirks: demo.Quirks{RefreshElsewhere: true}})
	_, token := r.connect()
	r.refresh(token).want(t, 400, "unsupported_grant_type")
	r.request("POST", "/refresh", values(map[string]string{"grant_type": "refresh_token", "client_id": demo.ClientID, "refresh_token": token})).want(t, 200, "")
}
