package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
)

func content(body string, size int64) *client.Content {
	return &client.Content{Size: size, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }}
}

func TestARequestIsOneHeaderAndTheBodyAsItIs(t *testing.T) {
	var head, body string
	var length int64
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		head, body, length = r.Header.Get("Keyturn-Request"), string(data), r.ContentLength
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Keyturn-Response", `{"status":404,"headers":{"x":["é"]},"note":"n"}`)
		io.WriteString(w, "answer\x00")
	})
	for _, tt := range []struct {
		content *client.Content
		body    string
		length  int64
	}{{nil, "", 0}, {content("", 0), "", 0}, {content("a\r\n\x00", 4), "a\r\n\x00", 4}, {content("0\r\n\r\n", -1), "0\r\n\r\n", -1}, {content("", -1), "", -1}} {
		a, err := c.Request(t.Context(), wire.RequestHead{Provider: "demo", URL: "https://x.example/?q=é\u2028😀"}, tt.content)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || a.Status != 404 || a.Headers["x"][0] != "é" || a.Note != "n" || a.Length != 7 || string(data) != "answer\x00" {
			t.Errorf("%+v %q %v", a.AnswerHead, data, err)
		}
		want := `{"provider":"demo","url":"https://x.example/?q=\u00e9\u2028\ud83d\ude00"`
		if !strings.HasPrefix(head, want) || body != tt.body || length != tt.length {
			t.Errorf("asked %s %q, length %d", head, body, length)
		}
	}
}

func TestARequestIsSentAgainOnce(t *testing.T) {
	var asked atomic.Int32
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Keyturn-Response", `{"status":401,"headers":{},"again":true}`)
	})
	for _, tt := range []struct {
		once bool
		want int32
	}{{false, 2}, {true, 1}} {
		asked.Store(0)
		body := content("x", 1)
		body.Once = tt.once
		a, err := c.Request(t.Context(), wire.RequestHead{URL: "x"}, body)
		if err != nil || a.Status != 401 || asked.Load() != tt.want {
			t.Errorf("once %v: %v, asked %d times", tt.once, err, asked.Load())
		}
		a.Body.Close()
	}
}

func TestAStrangeAnswerToARequestIsATypedError(t *testing.T) {
	const canary = "body-canary"
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	about := "Keyturn-Response: {\"status\":200,\"headers\":{}}\r\n"
	for _, tt := range []struct {
		name, answer string
		want         fault.Code
	}{
		{"closes without a word", "", fault.Unreachable},
		{"no header", head + "Content-Length: 2\r\n\r\n{}", fault.Internal},
		{"half a header", head + "Keyturn-Response: {\"status\":200\r\nContent-Length: 0\r\n\r\n", fault.Internal},
		{"no status", head + "Keyturn-Response: {}\r\nContent-Length: 0\r\n\r\n", fault.Internal},
		{"another type", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + about + "Content-Length: 0\r\n\r\n", fault.Internal},
		{"no end", head + about + "\r\n" + canary, fault.Internal},
		{"problem", "HTTP/1.1 403 X\r\nContent-Type: application/problem+json\r\nContent-Length: 43\r\n\r\n{\"code\":\"host_not_allowed\",\"detail\":\"No.\"} ", fault.HostNotAllowed},
		{"failure without a problem", "HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\n" + canary, fault.Internal},
		{"endless header", head + "Keyturn-Response: " + strings.Repeat("x", 200<<10), fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := saying(t, tt.answer).Request(t.Context(), wire.RequestHead{URL: "x"}, nil)
			if fault.CodeOf(err) != tt.want || strings.Contains(err.Error(), canary) {
				t.Errorf("%v (%s)", err, fault.CodeOf(err))
			}
		})
	}
	for _, body := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"} {
		a, err := saying(t, head+about+body).Request(t.Context(), wire.RequestHead{URL: "x"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(a.Body)
		a.Body.Close()
		if string(data) != "half" || fault.CodeOf(err) != fault.ProviderUnavailable {
			t.Errorf("%q: %q %v", body, data, err)
		}
	}
}

func TestAHeaderThatIsTooLongIsNotSent(t *testing.T) {
	var asked atomic.Int32
	c := answering(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, err := c.Request(t.Context(), wire.RequestHead{URL: "x", Headers: map[string]string{"X": strings.Repeat("x", 30<<10)}}, nil)
	if fault.CodeOf(err) != fault.BadRequest || asked.Load() > 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestARefusalOfALongBodyIsHeard(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(403)
		fmt.Fprint(w, `{"code":"host_not_allowed","detail":"Not there."}`)
	})
	_, err := c.Request(t.Context(), wire.RequestHead{URL: "x"}, content(strings.Repeat("x", 8<<20), 8<<20))
	if fault.CodeOf(err) != fault.HostNotAllowed {
		t.Errorf("%v", err)
	}
}

func TestARequestEndsWithItsContext(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if cause == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		start := time.Now()
		_, err := c.Request(ctx, wire.RequestHead{URL: "x"}, nil)
		cancel()
		if cause == context.Canceled && !errors.Is(err, cause) || cause != context.Canceled && fault.CodeOf(err) != fault.Unreachable || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	}
}

// A source can break when the answer has begun already.
func TestASourceThatBreaksLateEndsTheAnswer(t *testing.T) {
	begun := make(chan struct{})
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Keyturn-Response", `{"status":200,"headers":{}}`)
		io.WriteString(w, "first")
		http.NewResponseController(w).Flush()
		close(begun)
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	r, w := io.Pipe()
	go func() {
		w.Write([]byte("some"))
		<-begun
		time.Sleep(10 * time.Millisecond)
		w.CloseWithError(errors.New("disk on fire"))
	}()
	a, err := c.Request(t.Context(), wire.RequestHead{URL: "x"}, &client.Content{Size: -1, Once: true, Open: func() (io.ReadCloser, error) { return r, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if data, err := io.ReadAll(a.Body); string(data) != "first" || fault.CodeOf(err) != fault.Internal || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("%q %v", data, err)
	}
}
