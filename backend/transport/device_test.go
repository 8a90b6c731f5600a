package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
)

// tv is a device attempt in a bubble, against the demo server in memory.
type tv struct {
	*demo.Server
	prompt oauth.Prompt
	ended  chan struct{}
	reply  oauth.Reply
	err    error
	cancel context.CancelFunc
}

func deviceRequest() oauth.AuthorizationRequest {
	return oauth.AuthorizationRequest{
		Server: oauth.Server{
			Issuer:            demo.DefaultIssuer,
			Device:            oauth.DeviceEndpoint{URL: demo.DefaultIssuer + "/device_authorization"},
			Token:             oauth.TokenEndpoint{URL: demo.DefaultIssuer + "/token"},
			AllowLoopbackHTTP: true,
		},
		Client:       oauth.Client{ID: demo.ClientID, Auth: oauth.AuthNone},
		Scopes:       []string{"profile"},
		ProviderID:   "demo",
		ProviderName: "Demo",
	}
}

// watch starts an attempt; the prompt is there unless it failed before.
func watch(t *testing.T, faults ...demo.Fault) *tv {
	t.Helper()
	v := &tv{Server: demo.New(demo.Options{Record: true}), ended: make(chan struct{})}
	v.Script(faults...)
	d := transport.NewDevice(oauth.NewHTTP(oauth.HTTPOptions{Transport: v.Server}), nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	v.cancel = cancel
	go func() {
		defer close(v.ended)
		v.reply, v.err = d.Authorize(ctx, deviceRequest(), func(p oauth.Prompt) { v.prompt = p })
	}()
	synctest.Wait()
	return v
}

func (v *tv) isOver() bool {
	synctest.Wait()
	select {
	case <-v.ended:
		return true
	default:
		return false
	}
}

func (v *tv) polls() int { return len(v.Requests(demo.OpPoll)) }

func TestADeviceIsApprovedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := watch(t)
		if v.prompt.UserCode == "" || v.prompt.VerificationURI != demo.DefaultIssuer+"/device" || !strings.Contains(v.prompt.URL, v.prompt.UserCode) || v.prompt.Paste != nil {
			t.Fatalf("%+v", v.prompt)
		}
		time.Sleep(time.Minute)
		if v.isOver() || v.polls() != 12 {
			t.Fatalf("%d polls in a minute, %v", v.polls(), v.err)
		}
		if !v.Enter(strings.ToLower(v.prompt.UserCode), "ada") {
			t.Fatal("the code is not known")
		}
		time.Sleep(5 * time.Second)
		if !v.isOver() || v.err != nil || v.reply.Token == nil || v.reply.Token.Access.IsZero() || v.reply.Token.Refresh.IsZero() {
			t.Fatalf("%+v %v", v.reply, v.err)
		}
		v.reply.Tell(oauth.Outcome{OK: true})
		if n := v.Counts(); n.LiveGrants != 1 || n.Exchanges != 1 {
			t.Errorf("%+v", n)
		}
		for _, q := range v.Requests("") {
			if len(q.Query) > 0 {
				t.Errorf("DV-13 %s has a query", q.Path)
			}
		}
	})
}

func TestWhatADeviceServerMayDo(t *testing.T) {
	pending := `{"error":"authorization_pending"}`
	for _, tt := range []struct {
		name   string
		faults []demo.Fault
		after  time.Duration // then the user approves, or, with 0, never
		until  time.Duration // and it is over by then
		code   fault.Code    // "" is success
		polls  [2]int        // from, to
	}{
		{"DV-04 pending for ever", nil, 0, 10*time.Minute + 6*time.Second, fault.Expired, [2]int{118, 121}},
		{"DV-10 500 then a token", []demo.Fault{{On: demo.OpPoll, Times: 2, Status: 500}}, time.Second, time.Minute, "", [2]int{3, 3}},
		{"a timeout backs off", []demo.Fault{{On: demo.OpPoll, Times: 4, Drop: demo.Lost}}, time.Second, 4 * time.Minute, "", [2]int{5, 5}},
		{"slow_down lasts", []demo.Fault{{On: demo.OpPoll, Times: 2, Status: 400, Body: `{"error":"slow_down"}`}, {On: demo.OpPoll, Times: 2, Status: 400, Body: pending}}, 0, 15 * time.Minute, fault.Expired, [2]int{38, 43}},
		{"Retry-After is obeyed", []demo.Fault{{On: demo.OpPoll, Status: 429, Header: map[string][]string{"Retry-After": {"300"}}}}, time.Second, 6 * time.Minute, "", [2]int{2, 2}},
		{"denied", []demo.Fault{{On: demo.OpPoll, Status: 400, Body: `{"error":"access_denied"}`}}, 0, 10 * time.Second, fault.Denied, [2]int{1, 1}},
		{"expired by the server", []demo.Fault{{On: demo.OpPoll, Status: 400, Body: `{"error":"expired_token"}`}}, 0, 10 * time.Second, fault.Expired, [2]int{1, 1}},
		{"used up", []demo.Fault{{On: demo.OpPoll, Status: 400, Body: `{"error":"invalid_grant"}`}}, 0, 10 * time.Second, fault.ProviderError, [2]int{1, 1}},
		{"an answer that makes no sense", []demo.Fault{{On: demo.OpPoll, Status: 200, Body: `{}`}}, 0, 10 * time.Second, fault.ProviderError, [2]int{1, 1}},
		{"no code to be had", []demo.Fault{{On: demo.OpDevice, Status: 400, Body: `{"error":"unauthorized_client"}`}}, 0, time.Second, fault.ProviderError, [2]int{0, 0}},
		{"nobody there", []demo.Fault{{On: demo.OpDevice, Drop: demo.Unreachable}}, 0, time.Second, fault.ProviderUnavailable, [2]int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := watch(t, tt.faults...)
				if tt.after > 0 {
					time.Sleep(tt.after)
					if !v.Enter(v.prompt.UserCode, "ada") {
						t.Fatal("the code is not known")
					}
				}
				time.Sleep(tt.until - tt.after)
				if !v.isOver() {
					t.Fatalf("not over after %v, %d polls", tt.until, v.polls())
				}
				if fault.CodeOf(v.err) != tt.code || (v.reply.Token != nil) != (tt.code == "") {
					t.Errorf("%v (%s), want %q", v.err, fault.CodeOf(v.err), tt.code)
				}
				if n := v.polls(); n < tt.polls[0] || n > tt.polls[1] {
					t.Errorf("%d polls, want %v", n, tt.polls)
				}
			})
		})
	}
}

// The gaps between polls are doubled while nothing comes back, and are what
// they were once something does (RFC 8628 section 3.5).
func TestAServerInTroubleIsPolledLess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []demo.Fault
		at     []time.Duration // of the polls
	}{
		{"no answer", []demo.Fault{{On: demo.OpPoll, Times: 5, Drop: demo.Lost}},
			[]time.Duration{5, 15, 35, 75, 155, 275, 280, 285}}, // never more than two minutes
		{"500", []demo.Fault{{On: demo.OpPoll, Times: 2, Status: 500}}, []time.Duration{5, 15, 35, 40}},
		{"Retry-After", []demo.Fault{{On: demo.OpPoll, Status: 429, Header: map[string][]string{"Retry-After": {"300"}}}},
			[]time.Duration{5, 305, 310}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := watch(t, tt.faults...)
				defer v.cancel()
				begun := time.Now()
				for i, at := range tt.at {
					time.Sleep(time.Until(begun.Add(at*time.Second - time.Second)))
					synctest.Wait()
					if n := v.polls(); n != i {
						t.Fatalf("%d polls before %d s, want %d", n, at, i)
					}
					time.Sleep(1500 * time.Millisecond)
					synctest.Wait()
					if n := v.polls(); n != i+1 {
						t.Fatalf("%d polls after %d s, want %d", n, at, i+1)
					}
				}
			})
		})
	}
}

func TestDV13TheDeviceCodeIsForTheProviderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := demo.New(demo.Options{Record: true})
		as.Script(demo.Fault{On: demo.OpPoll, Status: 500}, demo.Fault{On: demo.OpPoll, Drop: demo.Lost}, demo.Fault{On: demo.OpPoll, Status: 200, Body: `{}`})
		var logged bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d := transport.NewDevice(oauth.NewHTTP(oauth.HTTPOptions{Transport: as, Log: log}), log, nil)
		var shown oauth.Prompt
		_, err := d.Authorize(t.Context(), deviceRequest(), func(p oauth.Prompt) { shown = p })
		polls := as.Requests(demo.OpPoll)
		if err == nil || len(polls) != 3 || !strings.Contains(logged.String(), "not answered") {
			t.Fatalf("%v, %d polls, logged %q", err, len(polls), logged.String())
		}
		code := polls[0].Form.Get("device_code")
		for where, text := range map[string]string{"log": logged.String(), "prompt": fmt.Sprintf("%+v", shown), "error": fmt.Sprintf("%v %v", err, errors.Unwrap(err))} {
			if code == "" || strings.Contains(text, code) {
				t.Errorf("DV-13 the %s holds the device code", where)
			}
		}
	})
}

func TestACancelledDeviceIsNotPolledAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := watch(t)
		time.Sleep(12 * time.Second)
		v.cancel()
		if !v.isOver() || fault.CodeOf(v.err) != fault.Cancelled {
			t.Fatal(v.err)
		}
		n := v.polls()
		time.Sleep(time.Hour)
		if v.polls() != n {
			t.Error("still polled")
		}
	})
	t.Run("DV-11 a token that comes after is handed over all the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := watch(t, demo.Fault{On: demo.OpPoll, Delay: 3 * time.Second})
			if !v.Enter(v.prompt.UserCode, "ada") {
				t.Fatal("the code is not known")
			}
			time.Sleep(6 * time.Second) // the poll is on its way
			v.cancel()
			time.Sleep(5 * time.Second)
			if !v.isOver() || v.reply.Token == nil {
				t.Errorf("%+v %v", v.reply, v.err)
			}
		})
	})
}

func TestAWokenLaptopPollsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := demo.New(demo.Options{Record: true})
		var slept atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		d := transport.NewDevice(oauth.NewHTTP(oauth.HTTPOptions{Transport: as, Now: now}), nil, now)
		ended := make(chan error, 1)
		go func() {
			_, err := d.Authorize(t.Context(), deviceRequest(), func(oauth.Prompt) {})
			ended <- err
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := len(as.Requests(demo.OpPoll))
		slept.Store(int64(8 * time.Hour)) // DV-14: timers stood still meanwhile
		time.Sleep(5 * time.Second)
		if err := <-ended; fault.CodeOf(err) != fault.Expired {
			t.Errorf("%v", err)
		}
		if n := len(as.Requests(demo.OpPoll)); n > before+1 {
			t.Errorf("%d polls after waking", n-before)
		}
	})
}
