//go:build bench && linux

package bench

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"
)

// greeting in the environment makes this test a yardstick: a program that
// says hello on the socket named there, with net/http and nothing else.
const greeting = "BENCH_HELLO"

func TestMain(m *testing.M) {
	if os.Getenv(loading) != "" {
		took, _ := loadCatalogue()
		_, _ = io.WriteString(os.Stdout, took.String())
		return
	}
	if path := os.Getenv(greeting); path != "" {
		l, err := net.Listen("unix", path)
		if err != nil {
			panic(err)
		}
		panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		})))
	}
	os.Exit(m.Run())
}

// TestBudgets measures what was promised and prints it as one table.
func TestBudgets(t *testing.T) {
	var all []line
	for _, budget := range []struct {
		id, what string
		measure  func(*testing.T) []line
	}{
		{"B1", "cached token over the socket", overTheSocket},
		{"B2", "keyturn token as a process", asAProcess},
		{"B3", "cached token in process", inProcess},
		{"B4", "100 callers on an expired token", onAnExpiredToken},
		{"B5", "cached reads beside a hanging provider", besideAHang},
		{"B6", "starting", starting},
		{"B7", "memory", memory},
		{"OA", "beside oidc-agent", besideOIDCAgent},
		{"B8", "one connect", oneConnect},
		{"B9", "a flood of bogus callbacks", inAFlood},
		{"B10", "bounced callbacks", aBouncedCallback},
		{"B10", "relayed callbacks", aRelayedCallback},
		{"B11", "catalogue", theCatalogue},
		{"B12", "the window", opening},
		{"B14", "search", typing},
		{"B15", "the pages", bundle},
	} {
		// What could not be measured has a line, too.
		lines := []line{{id: budget.id, what: budget.what, measured: "not measured", yardstick: "–", allowed: "–", broken: true}}
		t.Run(budget.id, func(t *testing.T) { lines = budget.measure(t) })
		all = append(all, lines...)
	}
	write(t.Output(), all)
	for _, l := range all {
		if l.fails() {
			t.Errorf("%s %s: %s, allowed are %s", l.id, l.what, l.measured, l.allowed)
		}
	}
}
