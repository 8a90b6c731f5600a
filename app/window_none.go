//go:build !desktop

package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
)

// program is what this build calls itself.
const program = "headless"

// window is not there in this build, which needs no C library.
type window struct{ door http.Handler }

var errNoWindow = errors.New("this is the program without a window")

func newWindow(fs.FS, *slog.Logger) *window { return &window{} }

func (*window) missing() error                     { return errNoWindow }
func (*window) asked() bool                        { return false }
func (*window) show(string) error                  { return errNoWindow }
func (*window) changed()                           {}
func (*window) recorded()                          {}
func (*window) copy(string) bool                   { return false }
func (*window) loop(ctx context.Context, _ func()) { <-ctx.Done() }
