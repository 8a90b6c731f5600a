package transport_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

// fuzzState is known to the fuzzer, or it would never get as far as the end.
const fuzzState = "fuzz-state-0123456789-0123456789-0123456789"

// FuzzCallbackRequest: whatever bytes arrive, an attempt completes only when
// its state was among them, with a code or an error and without a second of
// anything, in a GET for its very address.
func FuzzCallbackRequest(f *testing.F) {
	const path = "/oauth/callback/acme"
	for _, seed := range []string{
		"GET " + path + "?code=x&state=" + fuzzState + " HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET " + path + "?error=e&state=" + fuzzState + " HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET " + path + "?code=x&state=fuzz%2dstate HTTP/1.1\r\nHost: HOST\r\n\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET " + path + "?code=x&code=y&state=" + fuzzState + " HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"HEAD " + path + "?code=x&state=" + fuzzState + " HTTP/1.0\r\nHost: HOST\r\n\r\n",
		"POST " + path + "?code=x&state=" + fuzzState + " HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"GET http://HOST" + path + "?code=x&state=" + fuzzState + " HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET " + path + "?code=x&state=" + fuzzState + " HTTP/1.1\nHost: HOST\nSec-Fetch-Dest:\n image\n\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		f.Add([]byte(seed))
	}
	l := transport.NewLoopback(transport.LoopbackOptions{})
	l.SetLimits(time.Millisecond, time.Millisecond)
	f.Cleanup(func() { _ = l.Close(f.Context()) })

	f.Fuzz(func(t *testing.T, raw []byte) {
		eventually(t, "the last one is forgotten", func() bool { return l.Remembered() == 0 })
		req := transporttest.Request()
		req.State = oauth.NewSecret(fuzzState)
		a := transporttest.Start(t, l, req)
		host := strings.TrimSuffix(strings.TrimPrefix(a.Prompt.RedirectURI, "http://"), path)
		sent := strings.ReplaceAll(string(raw), "HOST", host)

		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = io.WriteString(c, sent)
		_ = c.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c)
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()

		completed := strings.Contains(string(got), "HTTP/1.1 303") || strings.Contains(string(got), "HTTP/1.0 303")
		a.Cancel()
		e := a.Wait(t)
		if e.Err == nil {
			e.Reply.Tell(oauth.Outcome{})
		}
		if completed != (e.Err == nil) {
			t.Fatalf("the browser was told %t, the attempt ended with %v", completed, e.Err)
		}
		if completed && !genuineIn(sent, host, path) {
			t.Fatalf("completed by %q", sent)
		}
	})
}

// genuineIn looks for the genuine request with other means than the transport:
// a request line that reads right and the one Host header.
func genuineIn(sent, host, path string) bool {
	for line := range strings.Lines(sent) {
		line = strings.TrimRight(line, "\r\n")
		target, ok := strings.CutPrefix(line, http.MethodGet+" "+path+"?")
		if !ok {
			continue
		}
		query, version, _ := strings.Cut(target, " ")
		q, err := url.ParseQuery(query)
		if err == nil && strings.HasPrefix(version, "HTTP/1.") && len(q["state"]) == 1 && q.Get("state") == fuzzState &&
			len(q["code"])+len(q["error"]) == 1 && strings.Contains(sent, host) {
			return true
		}
	}
	return false
}
