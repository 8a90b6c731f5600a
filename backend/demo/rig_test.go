package demo_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"keyturn/backend/demo"
)

const (
	redirect = "http://127.0.0.1:40123/oauth/callback/demo"
	verifier = "an-example-verifier-that-is-43-characters-long"
)

// rig is a client of a server in memory, that speaks plain HTTP.
type rig struct {
	*testing.T
	as   *demo.Server
	http http.Client
}

func start(t *testing.T, opts demo.Options) *rig {
	as := demo.New(opts)
	return &rig{T: t, as: as, http: http.Client{
		Transport:     as,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r *rig) do(req *http.Request) answer {
	r.Helper()
	resp, err := r.http.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.json) // pages are no JSON
	return a
}

func (r *rig) request(method, path string, form url.Values, header ...string) answer {
	r.Helper()
	req, err := http.NewRequest(method, r.as.Issuer()+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return r.do(req)
}

func (r *rig) get(path, bearer string) answer {
	r.Helper()
	if bearer == "" {
		return r.request("GET", path, nil)
	}
	return r.request("GET", path, nil, "Authorization", "Bearer "+bearer)
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is a good authorization request with changes; the value "-" leaves a
// parameter out.
func (r *rig) ask(changes map[string]string) string {
	q := map[string]string{
		"client_id": demo.ClientID, "response_type": "code", "redirect_uri": redirect, "state": "the-state",
		"code_challenge": challengeOf(verifier), "code_challenge_method": "S256", "scope": "profile email notes.read",
	}
	maps.Copy(q, changes)
	v := url.Values{}
	for name, value := range q {
		if value != "-" {
			v.Set(name, value)
		}
	}
	return r.as.Issuer() + "/authorize?" + v.Encode()
}

// code has Ada approve and returns the code.
func (r *rig) code(changes map[string]string) string {
	r.Helper()
	q := query(r.T, r.as.Approve(r.ask(changes), "ada"))
	if q.Get("code") == "" {
		r.Fatalf("no code: %v", q)
	}
	return q.Get("code")
}

// exchange is a good code exchange with changes.
func (r *rig) exchange(code string, changes map[string]string) answer {
	r.Helper()
	f := map[string]string{"grant_type": "authorization_code", "client_id": demo.ClientID, "code": code, "redirect_uri": redirect, "code_verifier": verifier}
	maps.Copy(f, changes)
	return r.request("POST", "/token", values(f))
}

func (r *rig) refresh(token string) answer {
	r.Helper()
	return r.request("POST", "/token", values(map[string]string{"grant_type": "refresh_token", "client_id": demo.ClientID, "refresh_token": token}))
}

func (r *rig) revoke(token string) answer {
	r.Helper()
	return r.request("POST", "/revoke", values(map[string]string{"client_id": demo.ClientID, "token": token}))
}

// connect returns the tokens of a new grant of Ada's.
func (r *rig) connect() (access, refresh string) {
	r.Helper()
	a := r.exchange(r.code(nil), nil)
	if a.status != http.StatusOK {
		r.Fatalf("%d %s", a.status, a.body)
	}
	return a.text("access_token"), a.text("refresh_token")
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

func (a answer) want(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code {
		t.Errorf("%d %s, want %d %s", a.status, a.body, status, code)
	}
}

func values(m map[string]string) url.Values {
	v := url.Values{}
	for name, value := range m {
		if value != "-" {
			v.Set(name, value)
		}
	}
	return v
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}
