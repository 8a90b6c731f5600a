package hub_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

// team is several replicas of one gateway on a NATS cluster, behind one address.
type team struct {
	keys   *hub.Keys
	config string
	nodes  []*server.Server
	ports  []address
	hubs   []atomic.Pointer[hub.Hub]
	front  *httptest.Server
	logs   *record
}

// address are the ports of a node.
type address struct{ client, websocket, route int }

// freePorts returns ports that were free a moment ago.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func startTeam(t testing.TB, size int) *team {
	t.Helper()
	keys := hub.NewKeys()
	config, err := keys.NodeConfig()
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3*size)
	tm := &team{keys: keys, config: config, nodes: make([]*server.Server, size), hubs: make([]atomic.Pointer[hub.Hub], size), logs: &record{}}
	for i := range size {
		tm.ports = append(tm.ports, address{ports[3*i], ports[3*i+1], ports[3*i+2]})
	}
	for i := range size {
		tm.startNode(t, i)
	}
	for i := range size {
		tm.startHub(t, i)
	}
	for i, n := range tm.nodes {
		for deadline := time.Now().Add(15 * time.Second); n.NumRoutes() < size-1; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("node %d found %d others", i, n.NumRoutes())
			}
		}
	}
	// Any replica takes any app, as a load balancer would have it.
	tm.front = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tm.any().Handler().ServeHTTP(w, r)
	}))
	tm.front.StartTLS()
	t.Cleanup(func() {
		for i := range tm.hubs {
			tm.stopHub(i)
		}
		for i := range tm.nodes {
			tm.stopNode(i)
		}
		tm.front.Close()
	})
	return tm
}

func (tm *team) startNode(t testing.TB, i int) {
	t.Helper()
	var routes []string
	for _, p := range tm.ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p.route))
	}
	opts := &server.Options{}
	if err := opts.ProcessConfigString(tm.config + fmt.Sprintf(`
server_name: node%d
listen: 127.0.0.1:%d
websocket { listen: "127.0.0.1:%d", no_tls: true }
cluster { name: team, listen: "127.0.0.1:%d", routes: [%s] }
`, i, tm.ports[i].client, tm.ports[i].websocket, tm.ports[i].route, strings.Join(routes, ", "))); err != nil {
		t.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the node does not start")
	}
	tm.nodes[i] = s
}

func (tm *team) startHub(t testing.TB, i int) {
	t.Helper()
	var c hub.Cluster
	for _, p := range tm.ports {
		c.Servers = append(c.Servers, fmt.Sprintf("nats://127.0.0.1:%d", p.client))
		c.WebSockets = append(c.WebSockets, fmt.Sprintf("ws://127.0.0.1:%d", p.websocket))
	}
	h, err := hub.NewHub(hub.Options{Keys: tm.keys, Cluster: &c, Log: tm.logs.logger()})
	if err != nil {
		t.Fatal(err)
	}
	tm.hubs[i].Store(h)
}

func (tm *team) stopHub(i int) {
	if h := tm.hubs[i].Swap(nil); h != nil {
		h.Close()
	}
}

func (tm *team) stopNode(i int) {
	tm.nodes[i].Shutdown()
	tm.nodes[i].WaitForShutdown()
}

// any returns a replica that runs.
func (tm *team) any() *hub.Hub {
	for {
		if h := tm.hubs[rand.N(len(tm.hubs))].Load(); h != nil {
			return h
		}
		time.Sleep(time.Millisecond)
	}
}

// A hub and a node die in the middle of many callbacks. A browser that reloads
// the page brings every one of them home, and the page says when to.
func TestNoCallbackIsLostWhenAReplicaAndANodeDie(t *testing.T) {
	apps, during := 12, 3*time.Second
	if os.Getenv("KEYTURN_SOAK") != "" {
		apps, during = 200, 2*time.Minute
	}
	tm := startTeam(t, 3)
	roots := tm.front.Client().Transport.(*http.Transport).TLSClientConfig
	g := &gateway{url: tm.front.URL + "/relay", tls: &tls.Config{RootCAs: roots.RootCAs}, logs: tm.logs}

	var clients []*relay.Client
	for i := range apps {
		e, err := tm.keys.Enrol(fmt.Sprint("app ", i), g.url)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, g.run(t, e))
	}
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var home, reloads, slow atomic.Int64
	var work sync.WaitGroup
	for i, c := range clients {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				again, took, err := oneCallback(tm, c, fmt.Sprintf("code-%d-%d", i, n))
				if err != nil {
					t.Errorf("app %d, callback %d: lost: %v", i, n, err)
					return
				}
				home.Add(1)
				reloads.Add(int64(again))
				if took > 5*time.Second {
					slow.Add(1)
				}
				time.Sleep(rand.N(40 * time.Millisecond))
			}
		})
	}
	step := during / 8
	time.Sleep(2 * step)
	tm.stopHub(0)
	time.Sleep(step)
	tm.stopNode(1)
	time.Sleep(step)
	if during > time.Minute { // and again, with the others, once the first are back
		tm.startNode(t, 1)
		tm.startHub(t, 0)
		time.Sleep(step)
		tm.stopNode(2)
		tm.stopHub(1)
	}
	work.Wait()
	t.Logf("%d callbacks of %d apps came home; %d reloads of a page; %d took more than 5 s", home.Load(), apps, reloads.Load(), slow.Load())
	if home.Load() < int64(apps) {
		t.Errorf("only %d callbacks were made", home.Load())
	}
}

// oneCallback plays one attempt, reloading the page while the gateway says that
// the app is not reachable.
func oneCallback(tm *team, c *relay.Client, code string) (reloads int, took time.Duration, err error) {
	a, err := c.Expect("github")
	if err != nil {
		return 0, 0, err
	}
	defer a.Cancel()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		receipt, err := tm.any().Deliver(ctx, "github", callback(a, code))
		if errors.Is(err, relay.ErrUnreachable) && ctx.Err() == nil {
			reloads++
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if err == nil {
			err = a.Confirm(receipt.Code)
		}
		if err != nil {
			return reloads, 0, err
		}
		break
	}
	select {
	case r := <-a.Response():
		if got := r.Code.Reveal(); got != code {
			return reloads, 0, fmt.Errorf("%q came home instead", got)
		}
	default:
		return reloads, 0, errors.New("confirmed, and no response")
	}
	return reloads, time.Since(start), nil
}
