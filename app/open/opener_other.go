//go:build !linux

package open

import (
	"context"
	"sync"

	"github.com/pkg/browser"
)

// opener has nothing to look for: the system opens URLs itself.
func opener() (string, error) { return "", nil }

// quiet sends the opener's output to the null device. A writer of ours would
// be a pipe, and a browser that writes to it after our end would die of it.
var quiet = sync.OnceFunc(func() { browser.Stdout, browser.Stderr = nil, nil })

// Browsers returns none: on this system the browser is chosen in its settings.
func Browsers() []Browser { return nil }

// run asks the system to open a. browser.OpenURL blocks until the opener has
// ended, so it waits on its own.
func run(ctx context.Context, _ string, a address) error {
	quiet()
	ended := make(chan error, 1)
	go func() { ended <- browser.OpenURL(a.s) }()
	return settled(ctx, ended)
}
