// Package backend holds no code: it is the map.
//
// One process owns every authorization from the click to the stored token. A
// connect flows through the packages from the top of this drawing to the
// bottom and back; imports only ever point down, and arch_test.go holds the
// drawing.
//
//	                  main.go               one screen: embeds frontend/dist, calls app.Main
//	                     │
//	                   app/                 window, tray, notices, single instance, wiring
//	                     │                  app/open: the browser · app/cli: the command line
//	                     │                  app/texts: what tray and notices say
//	                     │                  app/e2e, app/bench: proofs on the built programs
//	   ┌─────────────────┼─────────────────────┐
//	   ▼                 ▼                     ▼
//	api               store                transport      adapters: local HTTP; disk and key;
//	   │                 │                     │          how a response reaches us
//	   └──────┐   ┌──────┘                     │
//	          ▼   ▼                            │
//	      orchestrator                         │
//	          │   │                            │
//	          ▼   └───────────┐                │
//	      provider ───────▶ oauth ◀────────────┘          data; wire protocol
//
// Beside the column:
//
//	bundle      the sealed file that moves everything to another computer; api asks it
//	request     calls a provider's API with a token; api asks it, it asks the orchestrator
//	api/wire    the JSON of the local API, and nothing else
//	webui       the way into the API for a page in the browser: keyturn ui
//	page        what the browser tab shows last; transport and gateway show it
//	gateway     the public https endpoint for providers that insist on one (app/gateway serves it)
//	client      calls that API from Go (app/cli and tests); knows wire and socket only
//	socket      the local socket and who is at the other end of it
//	relay       the app's end of a gateway's relay: callbacks for hosts no browser can reach
//	relay/hub   the gateway's end of it, with a NATS server inside
//	demo        a small real authorization server: the demo provider, and the fixture of tests
//	demo/evilas its scriptable evil twin, for tests only
//	activity    what happened to the grants, and who read tokens
//	config      the settings file
//	place       where the files are
//	fault       a stable code for programs and a sentence for people
//	text        words from strangers, made fit to show
//	strictjson  JSON from strangers, read strictly
//
// # One connect, from click to notice
//
//  1. The user clicks Connect ▸ GitHub in the tray (app/menu.go), the window
//     (frontend/src), or types keyturn connect github (app/cli).
//  2. Orchestrator.Connect resolves provider, app and scopes, and records the
//     attempt, frozen: endpoints, client, verifier, nonce (orchestrator/connect.go).
//  3. The transport binds 127.0.0.1 and builds the URL (transport/loopback.go).
//  4. Whoever asked gets the prompt: tray and window let the app open the
//     browser (app/open), the command line opens it itself, a program gets JSON.
//  5. The provider sends the browser to http://127.0.0.1:PORT/oauth/callback/github.
//  6. The transport checks, in order; a stranger changes nothing; a genuine
//     response gets a 303 to a page that waits (transport/checks.go, page.go).
//  7. The code and the verifier are exchanged, once (orchestrator/complete.go, oauth/token.go).
//  8. Who consented? The identity call or the ID token says (oauth/identity.go).
//  9. settle saves durably, then shows: connected; the bell rings (orchestrator/settle.go).
//  10. The page turns into the outcome: account and scopes, or the reason.
//  11. Tray, window, notification, command line each read Snapshot.
//
// # Where a provider comes from
//
// An entry of the catalogue is a YAML file (provider/catalogue), read when the
// program is built and decoded from an index when it is used (provider/index.go);
// one with variables is filled in (provider/vars.go). Others the user registers
// (provider/registration.go). An MCP server is connected by its address: what it
// says of itself makes a provider, and a client is registered for it
// (oauth/protected.go, oauth/register.go, orchestrator/resource.go);
// build/conformance drives this through the protocol's own suite.
//
// # Rules that hold everywhere
//
// One mutex guards the orchestrator's memory and is never held across I/O;
// slow work carries what it started from and settle drops it when that is no
// longer so. Listeners get a doorbell and a snapshot, never a queue. A
// provider's quirk is a field, never a branch on its name. Errors for people
// are fault.Errors; provider text passes text.Clean before anybody sees it;
// tokens are oauth.Secrets, which print as [redacted].
package backend
