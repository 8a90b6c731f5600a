package orchestrator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// How an attempt ends whose browser is on another computer.

func TestADeviceCodeEndsInAConnection(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "device", Scopes: []string{"profile", "openid"}})
		if a.UserCode == "" || a.VerificationURI == "" || a.Pastes || a.Expires.Sub(a.Started) > 10*time.Minute+time.Second {
			t.Fatalf("%+v", a)
		}
		time.Sleep(8 * time.Minute) // longer than others wait
		if !w.as.Enter(a.UserCode, "ada") {
			t.Fatal("the code is not known")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		done, err := w.Attempt(a.Handle)
		if err != nil || done.Status != orchestrator.Complete || !strings.Contains(done.Account, "ada") {
			t.Fatalf("%+v %v", done, err)
		}
		w.token()
	})
}

func TestADeviceCodeThatIsNotEnteredExpires(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "device"})
		time.Sleep(10*time.Minute + 10*time.Second)
		synctest.Wait()
		done, err := w.Attempt(a.Handle)
		if err != nil || done.Code != fault.Expired {
			t.Errorf("%+v %v", done, err)
		}
	})
}

func TestATokenForACancelledDeviceIsRevoked(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "device"})
		w.as.Script(demo.Fault{On: demo.OpPoll, Delay: 3 * time.Second})
		w.as.Enter(a.UserCode, "ada")
		time.Sleep(6 * time.Second) // the poll is on its way
		if err := w.Cancel(a.Handle); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("DV-11 %d connections are stored", n)
		}
		if n := w.as.Counts(); n.Exchanges != 1 || n.LiveGrants != 0 {
			t.Errorf("DV-11 %+v", n)
		}
	})
}

func TestAPastedAddressEndsInAConnection(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "paste"})
		if !a.Pastes || a.UserCode != "" {
			t.Fatalf("%+v", a)
		}
		time.Sleep(8 * time.Minute)
		callback := w.as.Approve(a.URL, "ada")
		for _, wrong := range []string{"", "nonsense", callback[:len(callback)/2], "https://example.com/?code=a&state=b"} {
			if err := w.Paste(a.Handle, wrong); err == nil {
				t.Errorf("%q was taken", wrong)
			}
		}
		if err := w.Paste(a.Handle, callback); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		done, err := w.Attempt(a.Handle)
		if err != nil || done.Status != orchestrator.Complete {
			t.Fatalf("%+v %v", done, err)
		}
		w.wantCode(w.Paste(a.Handle, callback), fault.Conflict)
		w.wantCode(w.Paste("nobody", callback), fault.StateUnknown)
	})
}

func TestWhereNothingIsPasted(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "device"})
		w.wantCode(w.Paste(a.Handle, "code=a&state=b"), fault.BadRequest)
		_ = w.Cancel(a.Handle)
	})
}

// GW-17: a gateway sees the code, and something has to keep it from using it.
func TestAGatewayNeedsPKCEOrASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalogue, err := provider.Builtin()
		if err != nil {
			t.Fatal(err)
		}
		for id, pkce := range map[string]string{"proved": "s256", "unproved": "unverified"} {
			p, _ := catalogue.Lookup("demo")
			p.ID, p.Custom, p.HostedBy, p.PKCE, p.Client.Auth = id, true, "", pkce, []string{"none", "post"}
			if err := catalogue.Put(p); err != nil {
				t.Fatal(err)
			}
		}
		w := startWith(t, demo.New(demo.Options{}), storetest.NewMemory(0), catalogue)
		defer w.stop()
		w.gateway.Store(true)
		for _, tt := range []struct {
			provider, transport, secret string
			code                        fault.Code
		}{
			{"proved", "gateway", "", ""},
			{"unproved", "gateway", "", fault.GatewayRequiresPKCE},
			{"unproved", "gateway", "a secret", ""},
			{"unproved", "loopback", "", ""},
		} {
			s, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{Provider: tt.provider, Transport: tt.transport, Secret: oauth.NewSecret(tt.secret)}))
			if fault.CodeOf(err) != tt.code {
				t.Errorf("%+v: %v", tt, err)
			}
			if err == nil {
				_ = w.Cancel(s.Attempt.Handle)
			}
		}
	})
}

// A provider that insists on https goes by what is there for it.
func TestTheWayOfAProviderThatInsistsOnHTTPS(t *testing.T) {
	for _, tt := range []struct {
		name   string
		device string
		want   string
	}{
		{"nothing else", "", "paste"},
		{"a device code", demo.DefaultIssuer + "/device_authorization", "device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				catalogue, err := provider.Builtin()
				if err != nil {
					t.Fatal(err)
				}
				p, _ := catalogue.Lookup("demo")
				p.ID, p.Custom, p.HostedBy, p.Device.URL = "strict", true, "", tt.device
				p.Redirect = provider.Redirect{Rule: "https"}
				if err := catalogue.Put(p); err != nil {
					t.Fatal(err)
				}
				w := startWith(t, demo.New(demo.Options{}), storetest.NewMemory(0), catalogue)
				defer w.stop()
				a := w.connect(orchestrator.ConnectRequest{Provider: "strict"})
				if a.Transport != tt.want {
					t.Errorf("by %s, want %s", a.Transport, tt.want)
				}
				_, err = w.Connect(t.Context(), request(orchestrator.ConnectRequest{Provider: "strict", Transport: "loopback"}))
				w.wantCode(err, fault.BadRequest)
				_ = w.Cancel(a.Handle)
			})
		})
	}
}

// PR-05: a provider that does not answer a poll does not hold up the end.
func TestAPollOnItsWayDoesNotHoldUpTheEnd(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Transport: "device"})
		w.as.Script(demo.Fault{On: demo.OpPoll, Delay: 25 * time.Second})
		w.as.Enter(a.UserCode, "ada")
		time.Sleep(6 * time.Second) // the poll is on its way
		begun := time.Now()
		w.stop()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("stopping took %v", took)
		}
		time.Sleep(time.Minute) // the server gets over it
	})
}
