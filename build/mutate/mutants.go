package main

const (
	checks    = "backend/transport/checks.go"
	callbacks = "./backend/transport"
	cases     = "./backend/oauth"
)

// mutants are the guards of the callback endpoint, the gateway and the ways
// around them, in the order in which a request meets them.
var mutants = []mutant{
	{"callback: only GET", checks, "if c.Method == http.MethodGet || c.posted() {", "if true || c.posted() {", []string{callbacks}},
	{"callback: forms for those that wait for one", checks, "c.Method == http.MethodPost && c.on.posted.Load() > 0", "c.Method == http.MethodPost", []string{callbacks}},
	{"callback: origin form", checks, `if !strings.HasPrefix(c.RequestURI, "/") {`, `if false && (!strings.HasPrefix(c.RequestURI, "/")) {`, []string{callbacks}},
	{"callback: Host", checks, "if !c.on.answersTo(c.Host) {", "if false && (!c.on.answersTo(c.Host)) {", []string{callbacks}},
	{"callback: Sec-Fetch", checks, "if got != want {", "if false && (got != want) {", []string{callbacks}},
	{"callback: speculation", checks, "if len(c.Header[name]) > 0 {", "if false && (len(c.Header[name]) > 0) {", []string{callbacks}},
	{"callback: WebSocket", checks, `if strings.EqualFold(c.Header.Get("Upgrade"), "websocket") {`, `if false && (strings.EqualFold(c.Header.Get("Upgrade"), "websocket")) {`, []string{callbacks}},
	{"callback: landing place", checks, "if c.on.scheme()+c.Host+c.path != c.attempt.landing || c.attempt.posted", "if c.attempt.posted", []string{callbacks}},
	{"callback: method that the attempt waits for", checks, " || c.attempt.posted != (c.Method == http.MethodPost) {", " {", []string{callbacks}},
	{"callback: length of a form", checks, "case len(body) > maxForm:", "case false && len(body) > maxForm:", []string{callbacks}},
	{"callback: user of the peer", checks, "case peerForeign:\n\t\treturn foreignUser", "case peerForeign:", []string{callbacks}},
	{"callback: handed over once", checks, "if !a.progress.CompareAndSwap(waiting, answered) {", "if a.progress.Store(answered); false && alreadyUsed == none {", []string{callbacks}},
	{"callback: cap on connections", "backend/transport/listener.go", "if len(on.conns) >= maxConns {", "if false && (len(on.conns) >= maxConns) {", []string{callbacks}},
	{"response: a code or an error", "backend/oauth/response.go", "case hasCode == hasError:", "case false && (hasCode == hasError):", []string{cases}},
	{"response: alphabet of the code", "backend/oauth/response.go", `case hasCode && (code == "" || !isVSCHAR(code)):`, `case false && (hasCode && (code == "" || !isVSCHAR(code))):`, []string{cases}},
	{"paste: place", "backend/transport/paste.go", `place != "" && !isOneOf(place, places)`, `false && (place != "" && !isOneOf(place, places))`, []string{callbacks}},
	{"paste: state", "backend/transport/paste.go", "if subtle.ConstantTimeCompare(sum[:], state[:]) != 1 {", "if false && (subtle.ConstantTimeCompare(sum[:], state[:]) != 1) {", []string{callbacks}},
	{"device: end of the code", "backend/transport/device.go", "if d.now().After(a.Expires) {", "if false && (d.now().After(a.Expires)) {", []string{callbacks, "./backend/orchestrator"}},
	{"device: slow_down", "backend/transport/device.go", "interval += slowDown", "interval += 0", []string{callbacks}},
	{"device: place of the code", "backend/oauth/device.go", "!shownURI(s, d.VerificationURI)", "false && (!shownURI(s, d.VerificationURI))", []string{cases}},
	{"device: letters of the code", "backend/oauth/device.go", "!isUserCode(d.UserCode)", "false && (!isUserCode(d.UserCode))", []string{cases}},
	{"device: interval", "backend/oauth/device.go", "case d < minDeviceInterval:", "case false && (d < minDeviceInterval):", []string{cases}},
	{"gateway check: where it is sent", "backend/transport/gateway.go", `!strings.HasPrefix(to, "http://127.0.0.1:"+strconv.FormatInt(ours, 10)+gatewayPath+checkID+"?")`, `false && (!strings.HasPrefix(to, "http://127.0.0.1:"+strconv.FormatInt(ours, 10)+gatewayPath+checkID+"?"))`, []string{callbacks}},
	{"gateway: PKCE or a secret", "backend/orchestrator/connect.go", `if r.Transport == "gateway" && p.PKCE == "unverified" && client.Secret.IsZero() {`, `if false && (r.Transport == "gateway" && p.PKCE == "unverified" && client.Secret.IsZero()) {`, []string{"./backend/orchestrator"}},
	{"bounce: ports", "backend/gateway/bounce.go", "err == nil && port >= lowestPort && port <= highestPort", "err == nil && port >= 0*lowestPort*highestPort", []string{"./backend/gateway"}},
	{"bounce: way of writing the port", "backend/gateway/bounce.go", `head[0] == '0' || strings.ToLower(head) != head`, `false && (head[0] == '0' || strings.ToLower(head) != head)`, []string{"./backend/gateway"}},
	{"gateway: path", "backend/gateway/gateway.go", "if !ok || !providerID.MatchString(id) {", "if !ok || false && !providerID.MatchString(id) {", []string{"./backend/gateway"}},
	{"gateway: rate", "backend/gateway/limit.go", "return l.seen[network] <= l.perMinute", "return true || l.seen[network] <= l.perMinute", []string{"./backend/gateway"}},
	{"gateway: preview", "backend/gateway/gateway.go", "if speculative(r) {", "if false && (speculative(r)) {", []string{"./backend/gateway"}},
	{"gateway: size", "backend/gateway/gateway.go", "if len(query) > maxQuery {", "if false && (len(query) > maxQuery) {", []string{"./backend/gateway"}},
	{"gateway: form beside a query", "backend/gateway/gateway.go", `if !ok || query != "" {`, "if !ok {", []string{"./backend/gateway"}},
	{"forward: once", "backend/gateway/forward.go", "if !f.once.take(c.State, time.Now()) {", "if false && (!f.once.take(c.State, time.Now())) {", []string{"./backend/gateway"}},
	{"forward: provider that was asked", "backend/transport/forward.go", `f != nil && (provider == "" || provider == f.provider)`, "f != nil", []string{callbacks}},
	{"forward: one app", "app/gateway/enrol.go", "if len(alive) > 0 {", "if false && (len(alive) > 0) {", []string{"./app/gateway"}},
	{"forward: bearer", "app/forward.go", "!found || len(r.Header[\"Authorization\"]) != 1 || subtle.ConstantTimeCompare(got[:], want[:]) != 1", "!found || false && subtle.ConstantTimeCompare(got[:], want[:]) != 1", []string{"./app"}},
	{"forward: who may", "backend/api/routes.go", `"/v1/internal/oauth/callback", gatewayOnly,`, `"/v1/internal/oauth/callback", user,`, []string{"./backend/api"}},
	{"relay: the code", "backend/relay/attempt.go", "if subtle.ConstantTimeCompare(code, []byte(a.waiting[i].code)) == 1 {", "if true || subtle.ConstantTimeCompare(code, []byte(a.waiting[i].code)) == 1 {", []string{"./backend/relay", callbacks}},
	{"relay: three tries", "backend/relay/attempt.go", "switch Tries - a.wrong {", "switch Tries {", []string{"./backend/relay", callbacks}},
	{"relay: the attempt's state", "backend/relay/attempt.go", "err != nil || subtle.ConstantTimeCompare([]byte(state), []byte(a.state)) != 1", "err != nil || subtle.ConstantTimeCompare([]byte(state), []byte(a.state)) == 7", []string{"./backend/relay"}},
	{"relay: no code, no confirmation", "backend/relay/attempt.go", `if failed != (d.Code == "") {`, `if false && (failed != (d.Code == "")) {`, []string{"./backend/relay"}},
	{"refresh: noted before it is sent", "backend/orchestrator/refresh.go", `if err != nil && p.Refresh.Rotation != "never" {`, `if false && err != nil && p.Refresh.Rotation != "never" {`, []string{"./backend/orchestrator"}},
	{"refresh: the newest token is kept although it cannot be saved", "backend/orchestrator/refresh.go", "serves all the same.\n\t_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)", "serves all the same.\n\t_ = o.settle(context.WithoutCancel(o.ctx), c, r, false)", []string{"./backend/orchestrator"}},
	{"cooling: programs wait", "backend/orchestrator/cooling.go", "case !there || now.After(c.until) || joins:", "case true || (!there || now.After(c.until) || joins):", []string{"./backend/orchestrator"}},
}
