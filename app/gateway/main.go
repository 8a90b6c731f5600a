// Program keyturn-gateway is the public https address for providers that refuse
// to send the browser back to the user's own computer (package backend/gateway).
// It is one static program: flags say all there is to say, and what it keeps is
// in one folder.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"keyturn/backend/fault"
)

// version is set by the linker.
var version = "dev"

const overview = `keyturn-gateway takes the answers of providers that want an https address, and
passes them on to the Keyturn that asked:

  bounce    sends the browser on to the user's own computer; stores nothing,
            and needs no enrolment. For people with a browser and Keyturn on
            the same computer.
  relay     bounce, and besides: delivers to enrolled Keyturns on servers and
            SSH hosts, which hold a connection to here. Sealed end to end.
  forward   posts to the one Keyturn that is enrolled and that it can reach.

It can block a connect, but cannot use what it sees.`

// gcPercent lets the heap of a program that keeps next to nothing grow to some
// 20 MiB before it is swept: at the usual 100 that is most of the work of a bounce.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	root := &cobra.Command{
		Use:   "keyturn-gateway",
		Short: "The https address for providers that insist on one",
		Long:  overview,
		Example: `  keyturn-gateway serve --url https://gw.example.com --acme
  keyturn-gateway serve --url https://gw.example.com --behind-proxy --listen 127.0.0.1:8080
  keyturn-gateway enrol --name build-server --url https://gw.example.com`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), enrolCommand(), enrolmentsCommand(), revokeCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "keyturn-gateway:", fault.MessageOf(err))
		os.Exit(1)
	}
}
