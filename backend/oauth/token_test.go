package oauth_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestACodeBecomesATokenThatWorks(t *testing.T) {
	for _, config := range []evilas.Config{{}, {TLS: true}} {
		r := newRig(t, config)
		before := time.Now()
		token, code, err := r.exchange(t, "read", "write")
		if err != nil {
			t.Fatal(err)
		}
		if !r.as.Live(token.Access.Reveal()) || !r.as.Live(token.Refresh.Reveal()) {
			t.Error("the server does not know these tokens")
		}
		if token.Type != "Bearer" || !slices.Equal(token.Scopes, []string{"read", "write"}) {
			t.Errorf("type %q, scopes %q", token.Type, token.Scopes)
		}
		if life := token.Expiry.Sub(before); life < 59*time.Minute || life > 61*time.Minute || token.Expiry.Location() != time.UTC {
			t.Errorf("expiry %v", token.Expiry)
		}
		if n := r.as.Count(code); n != 1 {
			t.Errorf("the code was sent %d times", n)
		}
		request := r.as.Requests("/token")[0]
		for name, want := range map[string]string{
			"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "keyturn",
			"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "", "Authorization": "", "Cookie": "",
		} {
			if got := request.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if request.Header.Get("Content-Length") == "" || request.Header.Get("Transfer-Encoding") != "" {
			t.Errorf("body without a length: %v", request.Header)
		}
	}
}

func TestTheClientAuthenticatesInItsOneWay(t *testing.T) {
	secret := oauth.NewSecret(evilas.ConfidentialSecret)
	for _, auth := range []oauth.AuthMethod{oauth.AuthBasic, oauth.AuthPost} {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s json %v", auth, asJSON), func(t *testing.T) {
				r := newRig(t, evilas.Config{})
				r.server.Token.JSON = asJSON
				verifier := oauth.NewVerifier()
				code := r.as.NewCode("confidential", redirectURI, verifier.Reveal(), "")
				_, err := r.http.Exchange(t.Context(), r.server, oauth.Client{ID: "confidential", Secret: secret, Auth: auth}, oauth.NewSecret(code), redirectURI, verifier)
				if err != nil {
					t.Fatal(err)
				}
				if inBody := strings.Contains(r.as.Requests("/token")[0].Body, "client_secret"); inBody != (auth == oauth.AuthPost) {
					t.Errorf("secret in the body: %v", inBody)
				}
			})
		}
	}
	t.Run("a refused client is not tried another way", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		_, err := r.http.Exchange(t.Context(), r.server, oauth.Client{ID: "confidential", Secret: oauth.NewSecret("wrong"), Auth: oauth.AuthBasic}, oauth.NewSecret("c"), redirectURI, oauth.NewVerifier())
		if e := failure(t, err); e.Kind != oauth.Refused || e.Code != "invalid_client" || e.Status != 401 {
			t.Errorf("got %v", e)
		}
		if n := len(r.as.Requests("")); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("an unknown way is an error, not a guess", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		_, err := r.http.Exchange(t.Context(), r.server, oauth.Client{ID: "public"}, oauth.NewSecret("c"), redirectURI, oauth.NewVerifier())
		if err == nil || len(r.as.Connections()) != 0 {
			t.Errorf("err %v, connections %d", err, len(r.as.Connections()))
		}
	})
}

func TestWhatAServerAddsIsSentAndNeverWins(t *testing.T) {
	r := newRig(t, evilas.Config{})
	r.server.Token.URL += "?tenant=1"
	r.server.Token.Params = map[string]string{"audience": "api", "grant_type": "password", "client_id": "mallory", "code": "mallory"}
	r.server.Token.Headers = map[string]string{"X-Version": "7", "authorization": "Basic mallory", "Idempotency-Key": "mallory", "Host": "mallory"}
	if _, _, err := r.exchange(t); err != nil {
		t.Fatal(err)
	}
	request := r.as.Requests("/token")[0]
	if request.Form.Get("audience") != "api" || request.Header.Get("X-Version") != "7" || request.Query.Get("tenant") != "1" {
		t.Errorf("additions are missing: %v %v", request.Form, request.Header)
	}
	if r.as.Saw("mallory") || r.as.Saw("password") {
		t.Errorf("an addition won: %v %v", request.Form, request.Header)
	}
}

func TestRefreshRotatesAndKeepsWhatIsNotRenewed(t *testing.T) {
	r := newRig(t, evilas.Config{})
	first, _, err := r.exchange(t)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.http.Refresh(t.Context(), r.server, public, first.Refresh)
	if err != nil || second.Refresh.IsZero() || second.Refresh.Reveal() == first.Refresh.Reveal() {
		t.Fatalf("refresh: %v %v", second, err)
	}
	_, err = r.http.Refresh(t.Context(), r.server, public, first.Refresh)
	if e := failure(t, err); e.Kind != oauth.Refused || e.Code != "invalid_grant" || e.Op != "refresh" {
		t.Errorf("got %v", e)
	}
	if f := oauth.Fault(err, "Evil"); f.Code != fault.NeedsReconnect {
		t.Errorf("fault %v", f)
	}
	printsNothing(t, err, first.Refresh.Reveal())
	if n := r.as.Count(first.Refresh.Reveal()); n != 2 {
		t.Errorf("the refresh token was sent %d times for two refreshes", n)
	}

	r.server.Token.RefreshURL = r.as.URL() + "/renew"
	r.server.Token.Params = map[string]string{"kind": "a"}
	r.server.Token.RefreshParams = map[string]string{"kind": "b", "refresh_token": "evil"}
	for _, kept := range []string{`""`, `null`} { // RF-17
		r.as.Script("/renew", evilas.JSON(`{"access_token":"at","token_type":"Bearer","refresh_token":`+kept+`}`))
		third, err := r.http.Refresh(t.Context(), r.server, public, second.Refresh)
		if err != nil || !third.Refresh.IsZero() {
			t.Errorf("refresh_token %s: %v %v", kept, third.Refresh.IsZero(), err)
		}
	}
	if form := r.as.Requests("/renew")[0].Form; form.Get("kind") != "b" || form.Get("refresh_token") != second.Refresh.Reveal() {
		t.Errorf("sent %v", form)
	}
}

const good = `{"access_token":"at-1","token_type":"Bearer","expires_in":3600`

// TestHostileTokenResponses is table 3.7: whatever comes, the code is sent
// once, nothing is stored, and no word of the server's gets out.
func TestHostileTokenResponses(t *testing.T) {
	const canary = "canary-7f3a"
	as := func(contentType, body string) evilas.Step {
		return evilas.Step{Header: map[string]string{"Content-Type": contentType}, Body: body}
	}
	long := strings.Repeat("a", 32<<10)
	deep := `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `,"access_token":"x","token_type":"bearer"}`
	var wide strings.Builder
	wide.WriteString(good)
	for i := range 100_000 {
		fmt.Fprintf(&wide, `,"%d":1`, i)
	}
	wide.WriteString("}")
	for _, c := range []struct {
		name string
		step evilas.Step
		kind oauth.Kind
	}{
		{"TE-01 empty body", evilas.JSON(""), oauth.Malformed},
		{"TE-01 null", evilas.JSON("null"), oauth.Malformed},
		{"TE-01 array", evilas.JSON("[]"), oauth.Malformed},
		{"TE-01 string", evilas.JSON(`"` + canary + `"`), oauth.Malformed},
		{"TE-01 empty object", evilas.JSON("{}"), oauth.Malformed},
		{"TE-02 truncated", evilas.JSON(`{"access_token":"` + canary), oauth.Malformed},
		{"TE-02 trailing", evilas.JSON(good + "}{}"), oauth.Malformed},
		{"TE-02 NUL", evilas.JSON(good + "\x00}"), oauth.Malformed},
		{"TE-02 BOM", evilas.JSON("\ufeff" + good + "}"), oauth.Malformed},
		{"TE-02 UTF-16", evilas.JSON("{\x00\"\x00a\x00\"\x00"), oauth.Malformed},
		{"TE-02 invalid UTF-8", evilas.JSON(good + `,"x":"` + "\xff" + `"}`), oauth.Malformed},
		{"TE-03 duplicate key", evilas.JSON(good + `,"access_token":"` + canary + `"}`), oauth.Malformed},
		{"TE-03 duplicate key below", evilas.JSON(good + `,"x":{"a":1,"a":2}}`), oauth.Malformed},
		{"TE-03 other letter case", evilas.JSON(`{"ACCESS_TOKEN":"x","token_type":"bearer"}`), oauth.Malformed},
		{"TE-03 long s for s", evilas.JSON(`{"acceſſ_token":"x","token_type":"bearer"}`), oauth.Malformed},
		{"TE-04 deep", evilas.JSON(deep), oauth.Malformed},
		{"TE-04 wide", evilas.JSON(wide.String()), oauth.Malformed},
		{"TE-05 no access_token", evilas.JSON(`{"token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 empty access_token", evilas.JSON(`{"access_token":"","token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 number", evilas.JSON(`{"access_token":7,"token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 object", evilas.JSON(`{"access_token":{"a":"b"},"token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 CRLF", evilas.JSON(`{"access_token":"a\r\nX: ` + canary + `","token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 non-ASCII", evilas.JSON(`{"access_token":"ä","token_type":"bearer"}`), oauth.Malformed},
		{"TE-05 a mebibyte", evilas.JSON(`{"access_token":"` + strings.Repeat("a", 1<<20-100) + `","token_type":"bearer"}`), oauth.Malformed},
		{"TE-06 token_type mac", evilas.JSON(`{"access_token":"x","token_type":"mac"}`), oauth.Malformed},
		{"TE-06 token_type missing", evilas.JSON(`{"access_token":"x"}`), oauth.Malformed},
		{"TE-06 token_type number", evilas.JSON(`{"access_token":"x","token_type":1}`), oauth.Malformed},
		{"TE-07 JSON as text/html", as("text/html", good+"}"), oauth.Outage},
		{"TE-07 JSON as text/plain", as("text/plain", good+"}"), oauth.Outage},
		{"TE-07 form as text/plain", as("text/plain", "access_token=x&token_type=bearer"), oauth.Outage},
		{"TE-07 form", as("application/x-www-form-urlencoded", "access_token=x&token_type=bearer"), oauth.Outage},
		{"TE-08 captive portal", as("text/html", "<html>"+canary+"</html>"), oauth.Outage},
		{"TE-08 captive portal, unlabelled", as("application/json", " <!doctype html>"+canary), oauth.Outage},
		{"TE-09 201", evilas.Step{Status: 201, Header: map[string]string{"Content-Type": "application/json"}, Body: good + "}"}, oauth.Malformed},
		{"TE-10 200 MB", evilas.Step{Header: map[string]string{"Content-Type": "application/json"}, Body: long, Repeat: 6400}, oauth.Malformed},
		{"TE-10 a good answer and 2 MiB of blanks", evilas.JSON(good + "}" + strings.Repeat(" ", 2<<20)), oauth.Malformed},
		{"TE-11 gzip bomb", evilas.Step{Header: map[string]string{"Content-Type": "application/json"}, Body: long, Repeat: 640, Gzip: true}, oauth.Malformed},
		{"TE-12 cut off", evilas.Step{Header: map[string]string{"Content-Type": "application/json"}, Body: good + "}", CloseAfter: 10}, oauth.OutcomeUnknown},
		{"TE-13 endless headers", evilas.Step{Raw: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+canary+"\r\n", 100_000)}, oauth.OutcomeUnknown},
		{"TE-13 a good answer under 100 KiB of headers", evilas.Step{Raw: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + strings.Repeat("X-A: 12345\r\n", 8_000) + "\r\n" + good + "}"}, oauth.OutcomeUnknown},
		{"TE-15 not HTTP", evilas.Step{Raw: "SSH-2.0-" + canary + "\r\n"}, oauth.OutcomeUnknown},
		{"TE-16 100-continue flood", evilas.Step{Raw: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000)}, oauth.OutcomeUnknown},
		{"TE-16 103 flood", evilas.Step{Raw: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 10_000)}, oauth.OutcomeUnknown},
		{"TE-16 bad chunks", evilas.Step{Raw: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}"}, oauth.OutcomeUnknown},
		{"TE-17 refresh_token with blanks", evilas.JSON(good + `,"refresh_token":"a b"}`), oauth.Malformed},
		{"TE-17 refresh_token with controls", evilas.JSON(good + `,"refresh_token":"a\u0007b"}`), oauth.Malformed},
		{"TE-17 refresh_token of 32 KiB", evilas.JSON(good + `,"refresh_token":"` + long + `"}`), oauth.Malformed},
		{"TE-18 closed without an answer", evilas.Step{Hangup: true}, oauth.OutcomeUnknown},
		{"TE-18 used and lost", evilas.Step{Behave: true, Hangup: true}, oauth.OutcomeUnknown},
		{"TE-37 a mebibyte of scope", evilas.JSON(good + `,"scope":"` + strings.Repeat("a ", 500_000) + `"}`), oauth.Malformed},
		{"TE-37 scope is a number", evilas.JSON(good + `,"scope":7}`), oauth.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script("/token", c.step)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			token, code, err := r.exchange(t)
			runtime.ReadMemStats(&after)
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 64 {
				t.Errorf("%d MiB were allocated, both sides together", mib)
			}
			e := failure(t, err)
			if e.Kind != c.kind || e.Op != "exchange" || e.Unsent {
				t.Errorf("got %v, want %v", e, c.kind)
			}
			if !token.Access.IsZero() || !token.Refresh.IsZero() {
				t.Error("a token came out")
			}
			if n := r.as.Count(code); n != 1 || len(r.as.Requests("")) != 1 {
				t.Errorf("the code was sent %d times in %d requests", n, len(r.as.Requests("")))
			}
			printsNothing(t, err, canary, code)
			if c.step.Gzip && !strings.Contains(err.Error(), "compressed") {
				t.Errorf("the log would say %v", err)
			}
			want := map[oauth.Kind]fault.Code{oauth.Malformed: fault.ExchangeFailed, oauth.Outage: fault.ProviderUnavailable, oauth.OutcomeUnknown: fault.ExchangeOutcomeUnknown}[c.kind]
			if f := oauth.Fault(err, "Evil"); f.Code != want {
				t.Errorf("fault %s, want %s", f.Code, want)
			}
		})
	}
}

func TestRefusalsAndOutagesAreToldApart(t *testing.T) {
	const canary = "canary-19bc"
	page := map[string]string{"Content-Type": "text/html"}
	jsonType := map[string]string{"Content-Type": "application/json"}
	for _, c := range []struct {
		name string
		step evilas.Step
		kind oauth.Kind
		code string
		want fault.Code
	}{
		{"invalid_grant", evilas.Step{Status: 400, Header: jsonType, Body: `{"error":"invalid_grant","error_description":"` + canary + `"}`}, oauth.Refused, "invalid_grant", fault.ExchangeFailed},
		{"without a content type", evilas.Step{Status: 400, Body: `{"error":"invalid_grant"}`}, oauth.Refused, "invalid_grant", fault.ExchangeFailed},
		{"an error with 200", evilas.JSON(`{"error":"bad_verification_code","error_description":"` + canary + `"}`), oauth.Refused, "bad_verification_code", fault.ExchangeFailed},
		{"an error nested", evilas.Step{Status: 400, Header: jsonType, Body: `{"error":{"code":190,"type":"OAuthException","message":"` + canary + `"}}`}, oauth.Refused, "OAuthException", fault.ExchangeFailed},
		{"a code outside the alphabet", evilas.Step{Status: 400, Header: jsonType, Body: `{"error":"a\u001b[2J` + canary + `"}`}, oauth.Refused, "other", fault.ExchangeFailed},
		{"a long code", evilas.Step{Status: 400, Header: jsonType, Body: `{"error":"` + strings.Repeat(canary, 500) + `"}`}, oauth.Refused, "other", fault.ExchangeFailed},
		{"access_denied", evilas.Step{Status: 400, Header: jsonType, Body: `{"error":"access_denied"}`}, oauth.Refused, "access_denied", fault.Denied},
		{"401 with nothing", evilas.Step{Status: 401}, oauth.Refused, "", fault.ExchangeFailed},
		{"403 with a page", evilas.Step{Status: 403, Header: page, Body: "<html>" + canary}, oauth.Outage, "", fault.ProviderUnavailable},
		{"400 with a page", evilas.Step{Status: 400, Header: page, Body: "<html>" + canary}, oauth.Outage, "", fault.ProviderUnavailable},
		{"400 with JSON without a code", evilas.Step{Status: 400, Header: jsonType, Body: `{"message":"` + canary + `"}`}, oauth.Outage, "", fault.ProviderUnavailable},
		{"a page that mentions an error", evilas.Step{Status: 400, Header: page, Body: `{"error":"invalid_grant"}`}, oauth.Outage, "", fault.ProviderUnavailable},
		{"a redirect that speaks of the grant", evilas.Step{Status: 302, Header: jsonType, Body: `{"error":"invalid_grant"}`}, oauth.Outage, "", fault.ProviderUnavailable},
		{"500 that speaks of the grant", evilas.Step{Status: 500, Header: jsonType, Body: `{"error":"invalid_grant"}`}, oauth.Outage, "invalid_grant", fault.ProviderUnavailable},
		{"503", evilas.Step{Status: 503, Header: page, Body: canary}, oauth.Outage, "", fault.ProviderUnavailable},
		{"429", evilas.Step{Status: 429, Header: map[string]string{"Retry-After": "120"}}, oauth.Outage, "", fault.RateLimited},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script("/token", c.step)
			_, code, err := r.exchange(t)
			e := failure(t, err)
			if e.Kind != c.kind || e.Code != c.code || e.Status == 0 {
				t.Errorf("got %v, want %v %q", e, c.kind, c.code)
			}
			if f := oauth.Fault(err, "Evil"); f.Code != c.want {
				t.Errorf("fault %s, want %s", f.Code, c.want)
			}
			if n := len(r.as.Requests("")); n != 1 {
				t.Errorf("%d requests", n)
			}
			printsNothing(t, err, canary, code)
			if c.name == "429" && e.RetryAfter != 2*time.Minute {
				t.Errorf("RetryAfter %v", e.RetryAfter)
			}
		})
	}
}

func TestARedirectIsNeverFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprintf("TE-20 %d to another host", status), func(t *testing.T) {
			r, other := newRig(t, evilas.Config{}), evilas.New(t, evilas.Config{})
			for _, path := range []string{"/token", "/revoke", "/userinfo", "/jwks"} {
				r.as.Script(path, evilas.Step{Status: status, RedirectTo: other.URL() + path})
			}
			_, _, err := r.exchange(t)
			if e := failure(t, err); e.Kind != oauth.Outage || e.Status != status {
				t.Errorf("exchange: %v", e)
			}
			ctx, secret := t.Context(), oauth.NewSecret("rt")
			_, identityErr := r.http.Identify(ctx, r.server, oauth.Token{Access: secret}, nil)
			_, idTokenErr := r.http.VerifyIDToken(ctx, r.server, public, oauth.NewSecret(r.as.SignIDToken(r.as.Claims("public", "", ""))), oauth.Secret{})
			for name, err := range map[string]error{"revoke": r.http.Revoke(ctx, r.server, public, secret, ""), "identify": identityErr, "jwks": idTokenErr} {
				if err == nil {
					t.Errorf("%s followed", name)
				}
			}
			if n := len(other.Connections()); n != 0 {
				t.Errorf("the other host got %d connections", n)
			}
		})
	}
	t.Run("TE-22 308 to another path", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", evilas.Step{Status: 308, RedirectTo: "/token2"})
		_, code, err := r.exchange(t)
		if err == nil || r.as.Count(code) != 1 || len(r.as.Requests("/token2")) != 0 {
			t.Errorf("err %v, code sent %d times", err, r.as.Count(code))
		}
	})
	t.Run("TE-23 headers that mean nothing here", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", evilas.Step{Body: good + "}", Header: map[string]string{
			"Content-Type": "application/json", "Location": r.as.URL() + "/elsewhere", "Refresh": "0;url=/elsewhere", "Set-Cookie": "id=canary; Path=/"}})
		token, _, err := r.exchange(t)
		if err != nil || token.Access.Reveal() != "at-1" {
			t.Fatalf("%v", err)
		}
		if _, _, err := r.exchange(t); err != nil || r.as.Saw("canary") || len(r.as.Requests("/elsewhere")) != 0 {
			t.Errorf("err %v, cookie %v", err, r.as.Saw("canary"))
		}
	})
}

func TestNoConnectionIsUsedTwice(t *testing.T) { // TE-19
	r := newRig(t, evilas.Config{})
	for range 3 {
		if _, _, err := r.exchange(t); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.as.Connections()); n != 3 {
		t.Errorf("%d connections for 3 calls", n)
	}
}

func TestWhatWasNotSentIsKnownToBeUnsent(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	free.Close()
	h := oauth.NewHTTP(oauth.HTTPOptions{})
	exchange := func(s oauth.Server) (*oauth.Error, error) {
		_, err := h.Exchange(t.Context(), s, public, oauth.NewSecret("c"), redirectURI, oauth.NewVerifier())
		return failure(t, err), err
	}
	if e, _ := exchange(serverAt(nobody)); e.Kind != oauth.Outage || !e.Unsent {
		t.Errorf("nobody listens: %v, unsent %v", e, e.Unsent)
	}
	if e, err := exchange(serverAt("https://no-such-host.invalid")); e.Kind != oauth.Outage || !e.Unsent || oauth.Fault(err, "Evil").Code != fault.ProviderUnavailable {
		t.Errorf("no such host: %v, unsent %v", e, e.Unsent)
	}
	as := evilas.New(t, evilas.Config{TLS: true})
	e, err := exchange(serverAt(as.URL())) // TE-33: no switch turns verification off
	if e.Kind != oauth.Outage || !e.Unsent || !strings.Contains(oauth.Fault(err, "Evil").Message, "certificate") {
		t.Errorf("untrusted certificate: %v, unsent %v", e, e.Unsent)
	}
	if as.Saw("POST") {
		t.Error("something was sent past a bad certificate")
	}
	if e, _ := exchange(oauth.Server{Token: oauth.TokenEndpoint{URL: "http://127.0.0.1/token"}}); !e.Unsent {
		t.Errorf("http without permission: %v", e)
	}
}

func TestLifetimes(t *testing.T) {
	const unknown, year = -1, 365 * 24 * 3600
	for _, c := range []struct {
		name    string
		member  string
		seconds int
		odd     bool
	}{
		{"TE-25 missing", ``, unknown, false},
		{"TE-26 zero", `,"expires_in":0`, 0, false},
		{"TE-26 minus one", `,"expires_in":-1`, 0, false},
		{"TE-26 far below", `,"expires_in":-9999999999`, 0, false},
		{"TE-26 wraps at 32 bit", `,"expires_in":-4294967295`, 0, false},
		{"TE-26 far below, text", `,"expires_in":"-9999999999"`, 0, false},
		{"TE-27 above a year", `,"expires_in":10000000000`, year, false},
		{"TE-27 above 64 bit", `,"expires_in":99999999999999999999999`, year, false},
		{"TE-28 fraction", `,"expires_in":3600.5`, unknown, true},
		{"TE-28 whole fraction", `,"expires_in":3600.0`, unknown, true},
		{"TE-28 exponent", `,"expires_in":1e300`, unknown, true},
		{"TE-28 digits", `,"expires_in":"3600"`, 3600, false},
		{"TE-28 blank", `,"expires_in":" 3600"`, unknown, true},
		{"TE-28 word", `,"expires_in":"soon"`, unknown, true},
		{"TE-28 true", `,"expires_in":true`, unknown, true},
		{"TE-28 null", `,"expires_in":null`, unknown, false},
		{"TE-28 array", `,"expires_in":[3600]`, unknown, true},
		{"TE-29 one", `,"expires_in":1`, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script("/token", evilas.JSON(`{"access_token":"at","token_type":"BEARER"`+c.member+`}`))
			before := time.Now()
			token, _, err := r.exchange(t)
			if err != nil {
				t.Fatal(err)
			}
			if odd := strings.Contains(r.log.String(), "expires_in"); odd != c.odd {
				t.Errorf("warned: %v", odd)
			}
			if c.seconds == unknown {
				if !token.Expiry.IsZero() {
					t.Errorf("expiry %v, want unknown", token.Expiry)
				}
				return
			}
			if off := token.Expiry.Sub(before.Add(time.Duration(c.seconds) * time.Second)); off.Abs() > 2*time.Second {
				t.Errorf("expiry is off by %v", off)
			}
			if token.Expiry != token.Expiry.Round(0) {
				t.Error("expiry has a monotonic reading")
			}
		})
	}
	t.Run("a default stands in for a missing one only", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.server.Token.Response.DefaultLifetime = 2 * time.Hour
		r.as.Script("/token", evilas.JSON(`{"access_token":"at","token_type":"bearer"}`), evilas.JSON(`{"access_token":"at","token_type":"bearer","expires_in":60}`))
		for _, want := range []time.Duration{2 * time.Hour, time.Minute} {
			token, _, err := r.exchange(t)
			if got := time.Until(token.Expiry); err != nil || (got-want).Abs() > 3*time.Second {
				t.Errorf("%v %v, want %v", err, got, want)
			}
		}
	})
	t.Run("refresh tokens end too", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", evilas.JSON(good+`,"refresh_token":"rt","refresh_expires_in":"86400"}`), evilas.JSON(good+`,"refresh_token":"rt","refresh_token_expires_in":0}`))
		token, _, err := r.exchange(t)
		if left := time.Until(token.RefreshExpiry); err != nil || left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("%v %v", err, left)
		}
		if token, _, err = r.exchange(t); err != nil || !token.RefreshExpiry.IsZero() {
			t.Errorf("%v %v, want none", err, token.RefreshExpiry)
		}
	})
	t.Run("TE-31 the server's clock is a year off", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", evilas.Step{Body: good + "}", Header: map[string]string{
			"Content-Type": "application/json", "Date": time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat)}})
		token, _, err := r.exchange(t)
		if left := time.Until(token.Expiry); err != nil || left > time.Hour || left < 59*time.Minute {
			t.Errorf("%v %v: our clock counts", err, left)
		}
		if !strings.Contains(r.log.String(), "clock") {
			t.Error("no warning about the clock")
		}
	})
}

func TestScopesAreReadAsGranted(t *testing.T) {
	for _, c := range []struct {
		name, separator, member string
		want                    []string
	}{
		{"missing means as asked", "", ``, nil},
		{"null means as asked", "", `,"scope":null`, nil},
		{"TE-35 narrower", "", `,"scope":"a"`, []string{"a"}},
		{"none at all", "", `,"scope":""`, []string{}},
		{"TE-37 commas where the server uses them", ",", `,"scope":"a,b, c"`, []string{"a", "b", "c"}},
		{"TE-37 commas are part of a name elsewhere", "", `,"scope":"a,b c"`, []string{"a,b", "c"}},
		{"TE-37 array", "", `,"scope":["a","b","a"]`, []string{"a", "b"}},
		{"TE-37 controls", "", `,"scope":"a b\u001b[2J c\u0000 \u202ed"`, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.server.ScopeSeparator = c.separator
			r.as.Script("/token", evilas.JSON(good+c.member+"}"))
			token, _, err := r.exchange(t)
			if err != nil || !slices.Equal(token.Scopes, c.want) || (token.Scopes == nil) != (c.want == nil) {
				t.Errorf("%v %q, want %q", err, token.Scopes, c.want)
			}
		})
	}
}

func TestAServerMayDepartFromTheRFCWhereItSaysSo(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape oauth.TokenResponseShape
		step  evilas.Step
		ok    bool
	}{
		{"a root", oauth.TokenResponseShape{Root: "authed_user", OKField: "ok", NoTokenType: true}, evilas.JSON(`{"ok":true,"access_token":"bot","authed_user":{"access_token":"at-1","token_type":"user","scope":"a"}}`), true},
		{"a root that is absent", oauth.TokenResponseShape{Root: "data.token"}, evilas.JSON(good + "}"), true},
		{"not ok with 200", oauth.TokenResponseShape{OKField: "ok"}, evilas.JSON(`{"ok":false,"error":"invalid_code"}`), false},
		{"not ok, with a token", oauth.TokenResponseShape{OKField: "ok"}, evilas.JSON(`{"ok":false` + strings.Replace(good, "{", ",", 1) + "}"), false},
		{"ok is missing", oauth.TokenResponseShape{OKField: "ok"}, evilas.JSON(good + "}"), false},
		{"a form", oauth.TokenResponseShape{Form: true}, evilas.Step{Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, Body: "access_token=at-1&token_type=bearer&expires_in=-9999999999"}, true},
		{"a form that repeats", oauth.TokenResponseShape{Form: true}, evilas.Step{Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, Body: "access_token=at-1&token_type=bearer&access_token=b"}, false},
		{"an error as a form", oauth.TokenResponseShape{Form: true}, evilas.Step{Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, Body: "error=invalid_grant"}, false},
		{"another content type", oauth.TokenResponseShape{AnyContentType: true}, evilas.Step{Header: map[string]string{"Content-Type": "text/html"}, Body: good + "}"}, true},
		{"no token type", oauth.TokenResponseShape{NoTokenType: true}, evilas.JSON(`{"access_token":"at-1"}`), true},
		{"mac stays refused", oauth.TokenResponseShape{NoTokenType: true}, evilas.JSON(`{"access_token":"at-1","token_type":"MAC"}`), false},
		{"dpop stays refused", oauth.TokenResponseShape{NoTokenType: true}, evilas.JSON(`{"access_token":"at-1","token_type":"DPoP"}`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.server.Token.Response = c.shape
			r.as.Script("/token", c.step)
			token, _, err := r.exchange(t)
			if (err == nil) != c.ok {
				t.Fatalf("err %v", err)
			}
			if c.ok && (token.Access.Reveal() != "at-1" || token.Type != "Bearer") {
				t.Errorf("got %q %q", token.Access.Reveal(), token.Type)
			}
		})
	}
}

func TestAnAccessTokenIsOpaque(t *testing.T) { // TE-38
	r := newRig(t, evilas.Config{})
	claims := r.as.Claims("public", "", "")
	claims["exp"] = time.Now().Add(-time.Hour).Unix()
	jwt := r.as.SignIDToken(claims)
	body, _ := json.Marshal(map[string]any{"access_token": jwt, "token_type": "Bearer", "expires_in": 60})
	r.as.Script("/token", evilas.JSON(string(body)))
	token, _, err := r.exchange(t)
	if err != nil || token.Access.Reveal() != jwt || time.Until(token.Expiry) < 50*time.Second {
		t.Errorf("%v, expiry %v", err, token.Expiry)
	}
}
