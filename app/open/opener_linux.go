package open

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// On Linux the opener is started here and not by pkg/browser, which starts it
// in our own process group and on our terminal: the Ctrl-C that ends keyturn
// connect would end the user's browser as well, and the text browser that
// xdg-open falls back to could take the terminal over. pkg/browser tries
// www-browser too, which is a text browser on most servers.

// opener returns the absolute path of the program that opens a URL.
func opener() (string, error) {
	// Without a display xdg-open has only text browsers left, except where the
	// user named a browser that works without one (an editor's remote window).
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "" {
		return "", noBrowser(errors.New("no display"))
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil {
		return "", noBrowser(err)
	}
	if !filepath.IsAbs(path) {
		return "", noBrowser(errors.New("xdg-open is not at an absolute path"))
	}
	return path, nil
}

// run starts the browser with an id, or the system's opener, in a session of its own: no terminal, no process
// group of ours, no descriptors of ours, no output. Whatever becomes of this
// process, the browser stays.
func run(ctx context.Context, id string, a address) error {
	path, err := opener()
	if err != nil {
		return err
	}
	argv := []string{path, a.s}
	if b, ok := chosen(id); ok {
		argv = b.line(a)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = environment(started)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Libraries in this process open pipes without close-on-exec; a browser
	// that inherits one keeps a request of our own window waiting. Linux
	// before 5.11 refuses, and then Go's own descriptors are safe all the same.
	_ = unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	if err := cmd.Start(); err != nil {
		return noBrowser(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return settled(ctx, ended)
}

// started is the environment that this process was started with: what the
// toolkits in it add for themselves is nothing for a browser.
var started = os.Environ()

// environment is env without our own variables: where the keys and the data
// are is nothing for a browser.
func environment(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, v := range env {
		if !strings.HasPrefix(v, "KEYTURN_") {
			kept = append(kept, v)
		}
	}
	return kept
}
