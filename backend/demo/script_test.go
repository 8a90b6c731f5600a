package demo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
)

func TestScriptedFaults(t *testing.T) {
	r := start(t, demo.Options{Record: true})
	_, token := r.connect()
	r.as.Script(
		demo.Fault{On: demo.OpRefresh, Times: 2, Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: `{"error":"temporarily_unavailable"}`},
		demo.Fault{On: demo.OpRefresh, Status: 200, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
	)
	if a := r.get("/jwks", ""); a.status != 200 {
		t.Errorf("a fault hit another kind of request: %d", a.status)
	}
	for range 2 {
		if a := r.refresh(token); a.status != 503 || a.header.Get("Retry-After") != "7" {
			t.Errorf("%d %v", a.status, a.header)
		}
	}
	if a := r.refresh(token); a.body != "<html>" || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("%s %v", a.body, a.header)
	}
	r.refresh(token).want(t, 200, "")
	seen := r.as.Requests(demo.OpRefresh)
	if len(seen) != 4 || seen[0].Form.Get("refresh_token") != token || seen[0].Method != "POST" {
		t.Errorf("%d requests seen", len(seen))
	}
	if n := len(r.as.Requests(demo.OpToken)); n != 1 {
		t.Errorf("%d exchanges seen", n)
	}
}

func TestAnswersThatDoNotArrive(t *testing.T) {
	r := start(t, demo.Options{})
	try := func(token string) error {
		req, err := http.NewRequest("POST", r.as.Issuer()+"/token", strings.NewReader(values(map[string]string{"grant_type": "refresh_token", "client_id": demo.ClientID, "refresh_token": token}).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		connected := false
		req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}))
		_, err = r.as.RoundTrip(req)
		if errors.Is(err, syscall.ECONNREFUSED) == connected {
			t.Errorf("refused %v, connected %v", err, connected)
		}
		return err
	}
	_, token := r.connect()

	r.as.Script(demo.Fault{On: demo.OpRefresh, Drop: demo.Unreachable})
	if err := try(token); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("unreachable: %v", err)
	}
	r.as.Script(demo.Fault{On: demo.OpRefresh, Drop: demo.Lost})
	if err := try(token); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("lost: %v", err)
	}
	if n := r.as.Counts(); n.Refreshes != 0 {
		t.Errorf("something happened: %+v", n)
	}
	r.as.Script(demo.Fault{On: demo.OpRefresh, Drop: demo.Unanswered})
	if err := try(token); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("unanswered: %v", err)
	}
	if n := r.as.Counts(); n.Refreshes != 1 {
		t.Errorf("nothing happened: %+v", n)
	}
	r.refresh(token).want(t, 400, "invalid_grant") // it was rotated away
}

func TestNobodyListensAtAnotherHost(t *testing.T) {
	r := start(t, demo.Options{})
	if _, err := r.http.Get("http://127.0.0.1:9/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}

func TestLatencyIsFakeTimeAndAClientMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, demo.Options{Latency: 3 * time.Second})
		began := time.Now()
		_, token := r.connect()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", r.as.Issuer()+"/token", strings.NewReader(values(map[string]string{"grant_type": "refresh_token", "client_id": demo.ClientID, "refresh_token": token}).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if _, err := r.as.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(5 * time.Second)
		if n := r.as.Counts(); n.Refreshes != 1 {
			t.Errorf("a request that arrived takes effect: %+v", n)
		}
	})
}
