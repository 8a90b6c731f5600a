package hub_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

// mostPerApp is what one connected app may cost a gateway, in bytes of PSS.
const mostPerApp = 90 << 10

// gatewayProcess makes the test program a gateway, whose memory can be measured
// apart from that of the apps.
const gatewayProcess = "KEYTURN_TEST_GATEWAY"

func TestMain(m *testing.M) {
	if keys := os.Getenv(gatewayProcess); keys != "" {
		if err := serveGateway(keys); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveGateway prints its address and its certificate, and ends with its
// standard input.
func serveGateway(text string) error {
	keys, err := hub.ParseKeys(text)
	if err != nil {
		return err
	}
	h, err := hub.NewHub(hub.Options{Keys: keys})
	if err != nil {
		return err
	}
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/relay", h.Handler())
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		receipt, err := h.Deliver(r.Context(), "github", r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, receipt.Code)
	})
	mux.HandleFunc("/settle", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	s := httptest.NewTLSServer(mux)
	defer s.Close()
	fmt.Println(s.URL)
	pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	fmt.Println()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestThousandsOfAppsHangOnOneRelay(t *testing.T) {
	apps := 100
	if os.Getenv("KEYTURN_SOAK") != "" {
		apps = 10_000
		var most syscall.Rlimit // each app is one descriptor here and one in the gateway
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err != nil || most.Cur < 11_000 {
			t.Fatalf("ten thousand apps need 11000 descriptors, there are %d: %v", most.Cur, err)
		}
	}
	keys := hub.NewKeys()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), gatewayProcess+"="+keys.Text())
	process.Stderr = os.Stderr
	stdin, _ := process.StdinPipe()
	stdout, _ := process.StdoutPipe()
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer process.Wait()
	defer stdin.Close()
	address, roots := announced(t, stdout)
	config := &tls.Config{RootCAs: roots}
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer browser.CloseIdleConnections()
	get := func(path string) (string, int) {
		resp, err := browser.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body), resp.StatusCode
	}
	settled := func() memory {
		get("/settle")
		time.Sleep(500 * time.Millisecond)
		return memoryOf(t, process.Process.Pid)
	}
	before := settled()

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	clients := make([]*relay.Client, apps)
	start := time.Now()
	var connecting sync.WaitGroup
	places := make(chan struct{}, 50)
	for i := range clients {
		e, err := keys.Enrol(fmt.Sprint("app ", i), address+"/relay")
		if err != nil {
			t.Fatal(err)
		}
		c := relay.NewClient(e, relay.Options{TLS: config})
		clients[i] = c
		places <- struct{}{}
		running.Go(func() { c.Run(ctx) })
		connecting.Go(func() {
			defer func() { <-places }()
			patience, stop := context.WithTimeout(ctx, 2*time.Minute)
			defer stop()
			if err := c.Ready(patience); err != nil {
				t.Error(err, errors.Unwrap(err))
			}
		})
	}
	connecting.Wait()
	if t.Failed() {
		return
	}
	took := time.Since(start)
	after := settled()
	each := memory{(after.rss - before.rss) / apps, (after.pss - before.pss) / apps}
	t.Logf("%d apps connected in %v; the gateway: RSS %d MiB, PSS %d MiB (%d and %d before); per app RSS %d KiB, PSS %d KiB",
		apps, took.Round(time.Millisecond), after.rss>>20, after.pss>>20, before.rss>>20, before.pss>>20, each.rss>>10, each.pss>>10)
	if apps > 1000 && each.pss > mostPerApp {
		t.Errorf("an app costs %d KiB, at most %d KiB are promised", each.pss>>10, mostPerApp>>10)
	}
	var worst time.Duration
	for range 100 {
		c := clients[rand.N(apps)]
		a := expect(t, c, "github")
		asked := time.Now()
		code, status := get("/callback?" + url.Values{"state": {a.State()}, "code": {"x"}}.Encode())
		if status != http.StatusOK {
			t.Fatalf("a callback is answered %d %s", status, code)
		}
		worst = max(worst, time.Since(asked))
		if err := a.Confirm(code); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the slowest of 100 callbacks took %v", worst.Round(time.Millisecond))
	if worst > 5*time.Second {
		t.Errorf("a callback took %v", worst)
	}
}

// announced reads what serveGateway prints.
func announced(t testing.TB, out io.Reader) (address string, roots *x509.CertPool) {
	t.Helper()
	lines := bufio.NewScanner(out)
	var certificate strings.Builder
	for lines.Scan() && (lines.Text() != "" || address == "") {
		if address == "" {
			address = lines.Text()
			continue
		}
		fmt.Fprintln(&certificate, lines.Text())
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(certificate.String())) {
		t.Fatalf("the gateway said %q %s", address, certificate.String())
	}
	return address, roots
}

// memory is what a process uses, in bytes.
type memory struct{ rss, pss int }

func memoryOf(t testing.TB, pid int) (m memory) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.Atoi(fields[1])
		switch fields[0] {
		case "Rss:":
			m.rss = n << 10
		case "Pss:":
			m.pss = n << 10
		}
	}
	return m
}
