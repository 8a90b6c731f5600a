package transport_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport/transporttest"
)

// freePort returns a port that is free on 127.0.0.1 and ::1 now.
func freePort(t testing.TB) int {
	t.Helper()
	for range 50 {
		four, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := four.Addr().(*net.TCPAddr).Port
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
		four.Close()
		if err == nil {
			six.Close()
			return port
		}
	}
	t.Fatal("no port is free on both addresses")
	return 0
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func occupy(t testing.TB, address string) net.Listener {
	t.Helper()
	s, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestATakenPortStartsNothing(t *testing.T) {
	t.Run("CB-31 fixed port held by another program", func(t *testing.T) {
		port := freePort(t)
		occupy(t, "127.0.0.1:"+strconv.Itoa(port))
		l, _ := newLoopback(t)
		req := transporttest.Request()
		req.Redirect.Port = port
		began := time.Now()
		_, err := l.Authorize(t.Context(), req, func(oauth.Prompt) { t.Error("a prompt was shown") })
		if fault.CodeOf(err) != fault.PortInUse || !strings.Contains(err.Error(), strconv.Itoa(port)) {
			t.Errorf("%v", err)
		}
		if !strings.Contains(err.Error(), "transport.test") {
			t.Errorf("%v does not say who holds the port", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		if l.OpenPorts() != 0 || l.Remembered() != 0 {
			t.Error("something is left of it")
		}
	})
	t.Run("CB-32 localhost, and ::1 held by another program", func(t *testing.T) {
		port := freePort(t)
		occupy(t, net.JoinHostPort("::1", strconv.Itoa(port)))
		l, _ := newLoopback(t)
		req := transporttest.Request()
		req.Redirect = oauth.RedirectRule{Port: port, Localhost: true}
		_, err := l.Authorize(t.Context(), req, func(oauth.Prompt) { t.Error("a prompt was shown") })
		if fault.CodeOf(err) != fault.PortInUse || !strings.Contains(err.Error(), strconv.Itoa(port)) {
			t.Errorf("%v", err)
		}
		occupy(t, "127.0.0.1:"+strconv.Itoa(port)) // fails unless the other half was given back
	})
	t.Run("CB-32 localhost joins a listener whose ::1 is taken", func(t *testing.T) {
		port := freePort(t)
		occupy(t, net.JoinHostPort("::1", strconv.Itoa(port)))
		r := start(t, onPort(port)) // 127.0.0.1 is all it needs
		req := transporttest.Request()
		req.Redirect = oauth.RedirectRule{Port: port, Localhost: true}
		_, err := r.Authorize(t.Context(), req, func(oauth.Prompt) { t.Error("a prompt was shown") })
		if fault.CodeOf(err) != fault.PortInUse {
			t.Errorf("%v", err)
		}
		r.completes(t)
	})
}

func TestLocalhostIsServedOnBothAddresses(t *testing.T) {
	for name, port := range map[string]int{"fixed port": freePort(t), "any port": 0} {
		t.Run(name, func(t *testing.T) {
			r := start(t, localhost, onPort(port))
			_, p, _ := strings.Cut(r.host, ":")
			if r.host != "localhost:"+p {
				t.Fatalf("redirect URI %s", r.Prompt.RedirectURI)
			}
			six, err := net.Dial("tcp6", net.JoinHostPort("::1", p))
			if err != nil {
				t.Fatal(err)
			}
			defer six.Close()
			// The name alone is answered, on either address.
			for _, host := range []string{"[::1]:" + p, "127.0.0.1:" + p} {
				if a := r.send(t, "GET "+r.target()+" HTTP/1.1", "Host: "+host); a.status != 403 {
					t.Errorf("Host %s: %d", host, a.status)
				}
			}
			if a := exchange(t, six, request("GET "+r.target()+" HTTP/1.1", "Host: "+r.host)); a.status != http.StatusSeeOther {
				t.Fatalf("over ::1: %d", a.status)
			}
			r.gotTheCode(t)
		})
	}
	t.Run("beside one of 127.0.0.1 on the same port", func(t *testing.T) {
		l, log := newLoopback(t)
		port := freePort(t)
		literal := startOn(t, l, log, onPort(port))
		named := startOn(t, l, log, onPort(port), localhost)
		// Each state with the other's host: both names are known here, neither fits.
		if a := named.send(t, "GET "+named.target()+" HTTP/1.1", "Host: "+literal.host); a.status != 400 {
			t.Errorf("status %d", a.status)
		}
		if a := literal.send(t, "GET "+literal.target()+" HTTP/1.1", "Host: "+named.host); a.status != 400 {
			t.Errorf("status %d", a.status)
		}
		named.completes(t)
		literal.completes(t)
	})
}

func TestAttemptsShareAFixedPort(t *testing.T) {
	l, log := newLoopback(t)
	port := freePort(t)
	var rigs []*rig
	for _, id := range []string{"github", "gitlab", "google"} {
		rigs = append(rigs, startOn(t, l, log, onPort(port), func(r *oauth.AuthorizationRequest) { r.ProviderID = id }))
	}
	if l.OpenPorts() != 1 {
		t.Errorf("%d listeners, want 1", l.OpenPorts())
	}
	// A response of one provider on the path of another (RFC 9700 section 4.4).
	mixedUp := rigs[0].path + "?code=x&state=" + rigs[1].State
	if a := rigs[0].get(t, mixedUp); a.status != 400 {
		t.Errorf("mixed up: %d", a.status)
	}
	for _, r := range rigs {
		r.StillPending(t)
	}
	rigs[1].Cancel()
	rigs[1].Wait(t)
	rigs[2].completes(t)
	rigs[0].completes(t)
}

func TestAnyPortIsAnotherPortEachTime(t *testing.T) {
	l, log := newLoopback(t)
	one, two := startOn(t, l, log), startOn(t, l, log)
	if one.host == two.host {
		t.Errorf("both on %s", one.host)
	}
	if l.OpenPorts() != 2 {
		t.Errorf("%d listeners, want 2", l.OpenPorts())
	}
}

func TestAFixedPortCanBeBoundAgainAtOnce(t *testing.T) {
	port := freePort(t)
	l, log := newLoopback(t)
	l.SetLimits(time.Millisecond, time.Second)
	for range 5 {
		r := startOn(t, l, log, onPort(port))
		r.get(t, "/") // the server closes first: TIME_WAIT is on its side
		r.completes(t).Tell(oauth.Outcome{OK: true})
		eventually(t, "the port is free", func() bool { return l.OpenPorts() == 0 })

		r = startOn(t, l, log, onPort(port))
		idle := r.dial(t)
		exchange(t, idle, request("GET / HTTP/1.1", "Host: "+r.host))
		r.Cancel()
		r.Wait(t)
	}
	if l.OpenPorts() != 0 {
		t.Error("a cancelled attempt left its port open")
	}
}

func TestTheListenerIsThereBeforeThePromptAndGoneAfterCancel(t *testing.T) {
	l, _ := newLoopback(t)
	ctx, cancel := context.WithCancel(t.Context())
	req := transporttest.Request()
	var host string
	_, err := l.Authorize(ctx, req, func(p oauth.Prompt) {
		host, _, _ = strings.Cut(strings.TrimPrefix(p.RedirectURI, "http://"), "/")
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
		cancel()
	})
	if fault.CodeOf(err) != fault.Cancelled {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", host); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

func TestTheCauseOfAnEndIsKept(t *testing.T) {
	l, _ := newLoopback(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := l.Authorize(ctx, transporttest.Request(), func(oauth.Prompt) {
		cancel(fault.New(fault.Superseded, "You started again."))
	})
	if fault.CodeOf(err) != fault.Superseded {
		t.Error(err)
	}
}

func TestABadRequestOfOursStartsNothing(t *testing.T) {
	l, _ := newLoopback(t)
	for name, change := range map[string]func(*oauth.AuthorizationRequest){
		"provider id":   func(r *oauth.AuthorizationRequest) { r.ProviderID = "../x" },
		"no state":      func(r *oauth.AuthorizationRequest) { r.State = oauth.Secret{} },
		"http endpoint": func(r *oauth.AuthorizationRequest) { r.Server.Authorize.URL = "http://provider.example/a" },
	} {
		req := transporttest.Request()
		change(&req)
		_, err := l.Authorize(t.Context(), req, func(oauth.Prompt) { t.Error("a prompt was shown") })
		if fault.CodeOf(err) == "" {
			t.Errorf("%s: no error", name)
		}
	}
	if l.OpenPorts() != 0 || l.Remembered() != 0 {
		t.Error("something is left")
	}
	l.SetLimits(time.Minute, time.Second)
	req := transporttest.Request()
	func() {
		defer func() { _ = recover() }()
		_, _ = l.Authorize(t.Context(), req, func(oauth.Prompt) { panic("the caller's bug") })
	}()
	if l.OpenPorts() != 0 || l.Remembered() != 0 {
		t.Error("a panic left something behind")
	}
}

func TestCloseEndsEverythingWithinASecond(t *testing.T) {
	l, log := newLoopback(t)
	waiting := startOn(t, l, log)
	silent := waiting.dial(t)
	half := waiting.dial(t)
	if _, err := io.WriteString(half, "GET / HTTP/1.1\r\nHos"); err != nil {
		t.Fatal(err)
	}
	told := startOn(t, l, log)
	told.completes(t).Tell(oauth.Outcome{OK: true})
	untold := startOn(t, l, log)
	reply := untold.completes(t)
	eventually(t, "connections are there", func() bool { return l.OpenConns() >= 2 })

	began := time.Now()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	if code := fault.CodeOf(waiting.Wait(t).Err); code != fault.Cancelled {
		t.Errorf("the attempt ended with %q", code)
	}
	if l.OpenPorts() != 0 || l.Remembered() != 0 {
		t.Error("something is left")
	}
	for name, c := range map[string]net.Conn{"silent": silent, "half": half} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("the %s connection is open", name)
		}
	}
	reply.Tell(oauth.Outcome{OK: true}) // too late, and harmless
	_, err := l.Authorize(t.Context(), transporttest.Request(), func(oauth.Prompt) { t.Error("a prompt after Close") })
	if fault.CodeOf(err) != fault.Cancelled {
		t.Errorf("after Close: %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}
