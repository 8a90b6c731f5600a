package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// authority makes certificates for 127.0.0.1 and returns who trusts them.
func authority(t *testing.T, cert, key string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	must(t, err)
	made := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &private.PublicKey, private)
	must(t, err)
	raw, err := x509.MarshalECPrivateKey(private)
	must(t, err)
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool.AddCert(parsed)
	return pool
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is a gateway with TLS of its own.
type running struct {
	url, metrics string
	client       *http.Client
	roots        *x509.CertPool
	log          *journal
	stop         func() error
}

func start(t *testing.T, o options) *running {
	t.Helper()
	dir := t.TempDir()
	o.cert, o.key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := authority(t, o.cert, o.key)
	if o.state == "" {
		o.state = filepath.Join(dir, "state")
	}
	if o.listen == "" {
		o.listen = "127.0.0.1:0"
	}
	o.metrics, o.drain, o.url = "127.0.0.1:0", 5*time.Second, "https://gw.example"
	ctx, cancel := context.WithCancel(context.Background())
	addresses, ended := make(chan [2]net.Addr, 1), make(chan error, 1)
	log := &journal{}
	go func() {
		ended <- o.serve(ctx, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(public, metrics net.Addr) {
			addresses <- [2]net.Addr{public, metrics}
		})
	}()
	r := &running{log: log, roots: roots, client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	select {
	case at := <-addresses:
		r.url, r.metrics = "https://"+at[0].String(), "http://"+at[1].String()
	case err := <-ended:
		t.Fatal(err)
	}
	var once sync.Once
	var err error
	r.stop = func() error {
		once.Do(func() { cancel(); err = <-ended })
		return err
	}
	t.Cleanup(func() { _ = r.stop(); r.client.CloseIdleConnections() })
	return r
}

func (r *running) get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	res, err := r.client.Get(address)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

func TestABouncingGatewayOverTLS(t *testing.T) {
	r := start(t, options{way: "bounce"})
	state := "uyj." + strings.Repeat("A", 43) // port 40123
	res, _ := r.get(t, r.url+"/oauth/callback/acme?code=c0de-canary&state="+state)
	if res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), "http://127.0.0.1:40123/gw/acme?") || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/relay": 404, "/metrics": 404} {
		if res, _ := r.get(t, r.url+path); res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if _, body := r.get(t, r.metrics+"/metrics"); !strings.Contains(body, `keyturn_gateway_callbacks_total{outcome="delivered"} 1`) {
		t.Errorf("%s", body)
	}
	must(t, r.stop())
	if said := r.log.String(); strings.Contains(said, "canary") || strings.Contains(said, "AAAA") || !strings.Contains(said, "gateway has stopped") {
		t.Errorf("%s", said)
	}
}

func TestARelayBringsACallbackToAnEnrolledApp(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	l.Close()
	token, err := enrol(folder(state), "build-server", "https://"+address, "")
	must(t, err)
	if _, err := enrol(folder(state), "build-server", "https://"+address, ""); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("enrolled twice: %v", err)
	}
	r := start(t, options{way: "relay", state: state, listen: address})
	e, err := relay.ParseEnrolment(token)
	must(t, err)
	app := relay.NewClient(e, relay.Options{TLS: &tls.Config{RootCAs: r.roots}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); app.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	waiting, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	must(t, app.Ready(waiting))

	a, err := app.Expect("acme")
	must(t, err)
	res, body := r.get(t, r.url+"/oauth/callback/acme?code=c0de-canary&state="+a.State())
	if res.StatusCode != 200 || !strings.Contains(body, "Type this code into your Keyturn") {
		t.Fatalf("%d\n%s", res.StatusCode, body)
	}
	select {
	case <-a.Held():
	case <-time.After(5 * time.Second):
		t.Fatal("the app does not hold the response")
	}
	_, rest, _ := strings.Cut(body, `<p class="code"><bdi>`)
	code, _, _ := strings.Cut(rest, "<")
	if err := a.Confirm("AAAA-AAAA"); err == nil {
		t.Error("GW-02 a wrong code was taken")
	}
	must(t, a.Confirm(code))
	var got oauth.AuthorizationResponse
	select {
	case got = <-a.Response():
	case <-time.After(5 * time.Second):
		t.Fatal("no response after the code")
	}
	if got.Code.Reveal() != "c0de-canary" {
		t.Errorf("%+v", got)
	}
	// Nobody else's, and what is for a desktop is bounced.
	if res, body := r.get(t, r.url+"/oauth/callback/other?code=c&state="+a.State()); res.StatusCode != 400 || strings.Contains(body, "code\"><bdi>") {
		t.Errorf("another provider: %d", res.StatusCode)
	}
	if res, _ := r.get(t, r.url+"/oauth/callback/acme?code=c&state=uyj."+strings.Repeat("A", 43)); res.StatusCode != 303 {
		t.Errorf("bounce: %d", res.StatusCode)
	}

	// Revoked while it runs.
	all, err := folder(state).enrolments()
	must(t, err)
	all[0].Revoked = true
	must(t, folder(state).save(all))
	deadline := time.Now().Add(10 * time.Second)
	b, err := app.Expect("acme")
	must(t, err)
	for {
		res, body := r.get(t, r.url+"/oauth/callback/acme?code=c&state="+b.State())
		if res.StatusCode != 200 && !strings.Contains(body, "Type this code") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a revoked app is still served")
		}
		time.Sleep(200 * time.Millisecond)
	}
	must(t, r.stop())
	if strings.Contains(r.log.String(), "canary") || strings.Contains(r.log.String(), a.State()) {
		t.Errorf("%s", r.log)
	}
}

func TestAForwardingGatewayServesOneApp(t *testing.T) {
	f := folder(filepath.Join(t.TempDir(), "state"))
	_, err := enrol(f, "laptop", "https://gw.example", "https://laptop.example:8443")
	must(t, err)
	for _, app := range []string{"https://other.example", ""} {
		if _, err := enrol(f, "second", "https://gw.example", app); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("a second one with %q: %v", app, err)
		}
	}
	for name, args := range map[string][3]string{
		"no name": {"", "https://gw.example", ""}, "no url": {"x", "", ""}, "http": {"x", "http://gw.example", ""},
	} {
		if _, err := enrol(f, args[0], args[1], args[2]); fault.CodeOf(err) != fault.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(f.path("enrolments.json"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, os.Chmod(f.path("enrolments.json"), 0o644))
	if _, err := f.enrolments(); fault.CodeOf(err) != fault.Forbidden {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestACertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	c := &certificate{cert: filepath.Join(dir, "c"), key: filepath.Join(dir, "k"), log: slog.New(slog.DiscardHandler)}
	if _, err := c.get(nil); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("nothing there: %v", err)
	}
	authority(t, c.cert, c.key)
	first, err := c.get(nil)
	must(t, err)
	authority(t, c.cert, c.key)
	must(t, os.Chtimes(c.cert, time.Now(), time.Now().Add(time.Minute)))
	c.looked = time.Time{}
	if second, err := c.get(nil); err != nil || bytes.Equal(second.Certificate[0], first.Certificate[0]) {
		t.Errorf("the old one: %v", err)
	}
	must(t, os.WriteFile(c.cert, []byte("half"), 0o600))
	c.looked = time.Time{}
	if _, err := c.get(nil); err != nil {
		t.Errorf("a file that is half written: %v", err)
	}
}

func TestWhatServeIsNotTold(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for name, o := range map[string]options{
		"no url":                {way: "bounce", behindProxy: true},
		"no certificate":        {way: "bounce", url: "https://gw.example"},
		"a way of nobody":       {way: "teleport", url: "https://gw.example", behindProxy: true},
		"nobody to forward to":  {way: "forward", url: "https://gw.example", behindProxy: true},
		"a port that is taken?": {way: "bounce", url: "https://gw.example", behindProxy: true, listen: "256.0.0.1:1"},
	} {
		o.state = t.TempDir()
		if err := o.serve(t.Context(), quiet, nil); err == nil || !strings.HasSuffix(fault.MessageOf(err), ".") && !strings.Contains(fault.MessageOf(err), "--") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := options{behindProxy: true}
	r, _ := http.NewRequest("GET", "http://x", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Add("X-Forwarded-For", "1.1.1.1, 2.2.2.2")
	r.Header.Add("X-Forwarded-For", "3.3.3.3")
	if got := o.clientOf()(r); got != "3.3.3.3" {
		t.Errorf("the client is %s", got)
	}
}
