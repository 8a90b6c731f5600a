package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"keyturn/app/open"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/place"
)

// unhealthy is the code of doctor when something has failed.
const unhealthy fault.Code = "unhealthy"

// The three ways a check ends. What is missing leaves the rest working.
const (
	fine    = "ok"
	missing = "missing"
	failed  = "failed"
)

func (k *command) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that has to be in order",
		Long: `Look at what this command needs and, when Keyturn is running, at what Keyturn
needs. The exit code is 1 when something has failed; what is only missing is
said and does no harm.`,
		Args: none,
	}
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		checks, err := k.examine(ctx)
		value := struct {
			outcome
			Checks []wire.Check `json:"checks"`
		}{outcomeOf(err), checks}
		say := func(w io.Writer) error {
			t := table{}
			for _, c := range checks {
				t = append(t, []string{c.Status, c.Name, c.Says})
			}
			t.write(w)
			return nil
		}
		return answer{value, say}, err
	})
}

// examine runs the checks; the error is about the first that failed.
func (k *command) examine(ctx context.Context) ([]wire.Check, error) {
	places, err := place.Find()
	if err != nil {
		err = fault.Wrap(err, unhealthy, "There is no home folder, so Keyturn cannot be found. Set HOME or KEYTURN_HOME.")
		return []wire.Check{{Name: "places", Status: failed, Says: fault.MessageOf(err)}}, err
	}
	app := client.New(places.Socket)
	health, reached := app.Health(ctx)

	checks := []wire.Check{checkSocket(places.Socket)}
	if reached != nil {
		checks = append(checks, wire.Check{Name: "keyturn", Status: failed, Says: fault.MessageOf(reached)})
	} else {
		checks = append(checks,
			wire.Check{Name: "keyturn", Status: fine, Says: fmt.Sprintf("Keyturn %s (%s) is running, process %d.", health.Version, health.Program, health.PID)},
			checkVersion(health.Version))
	}
	checks = append(checks, checkClock(time.Now()), checkDisplay(), checkBrowser())
	if reached == nil {
		own, err := app.Diagnosis(ctx)
		if err != nil {
			own = []wire.Check{{Name: "diagnosis", Status: failed, Says: fault.MessageOf(err)}}
		}
		checks = append(checks, own...)
	}
	if reached != nil {
		return checks, reached
	}
	for _, c := range checks {
		if c.Status == failed {
			return checks, fault.New(unhealthy, "Not everything is in order: %s", c.Says)
		}
	}
	return checks, nil
}

// checkSocket looks at the folder of the socket as the client does before it
// speaks.
func checkSocket(path string) wire.Check {
	c := wire.Check{Name: "socket", Status: fine, Says: "The socket is " + path + "."}
	if runtime.GOOS == "windows" {
		return c
	}
	info, err := os.Lstat(filepath.Dir(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Status, c.Says = missing, "The folder "+filepath.Dir(path)+" is made when Keyturn starts."
	case err != nil:
		c.Status, c.Says = failed, "The folder of the socket cannot be looked at: "+reason(err)+"."
	case !info.IsDir() || info.Mode().Perm() != 0o700:
		c.Status, c.Says = failed, fmt.Sprintf("%s has to be a folder with mode 0700, and is %s.", filepath.Dir(path), info.Mode())
	}
	return c
}

func checkVersion(running string) wire.Check {
	if running == version {
		return wire.Check{Name: "version", Status: fine, Says: "This command and Keyturn have the same version, " + version + "."}
	}
	return wire.Check{Name: "version", Status: failed,
		Says: fmt.Sprintf("This command is version %s and Keyturn is %s. Restart Keyturn, or install both from one release.", version, running)}
}

// checkClock refuses a clock before this program was written: tokens and
// certificates would all seem to lie in the future.
func checkClock(now time.Time) wire.Check {
	if now.Year() < 2025 {
		return wire.Check{Name: "clock", Status: failed, Says: "The clock of this computer is wrong: it says " + now.Format(time.DateOnly) + "."}
	}
	return wire.Check{Name: "clock", Status: fine, Says: "The clock says " + now.UTC().Format(time.RFC3339) + "."}
}

func checkDisplay() wire.Check {
	c := wire.Check{Name: "display", Status: fine, Says: "There is a display."}
	if runtime.GOOS == "linux" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		c.Status, c.Says = missing, "There is no display here: keyturn connect prints its link, and the browser may be elsewhere."
	}
	return c
}

func checkBrowser() wire.Check {
	if err := open.Ready(); err != nil {
		return wire.Check{Name: "browser", Status: missing, Says: fault.MessageOf(err)}
	}
	return wire.Check{Name: "browser", Status: fine, Says: "The system can open a browser."}
}
