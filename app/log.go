package app

import (
	"io"
	"log/slog"
)

// openLog returns the log: everything of note in a file that only this user
// can read and that does not grow for ever, errors also on out. Nothing secret
// reaches it: tokens are types that print as [redacted], and errors hold no
// bodies and no URLs with a query.
func openLog(path string, out io.Writer) (*slog.Logger, func()) {
	file := &logFile{path: path, out: out}
	file.open()
	errs := slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: withoutTime})
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(file, nil), errs)), file.close
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
