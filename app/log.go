package app

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"
)

// openLog returns the log: everything of note in a file that only this user
// can read and that does not grow for ever, errors also on out. Nothing secret
// reaches it: tokens are types that print as [redacted], and errors hold no
// bodies and no URLs with a query.
func openLog(path string, out io.Writer) (*slog.Logger, func()) {
	errs := slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: withoutTime})
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
		err = touch(path)
		if err == nil {
			file := &lumberjack.Logger{Filename: path, MaxSize: 5, MaxBackups: 3}
			all := slog.NewTextHandler(file, nil)
			return slog.New(slog.NewMultiHandler(all, errs)), func() { _ = file.Close() }
		}
	}
	fmt.Fprintf(out, "Keyturn cannot write its log %s and goes on without it.\n", path)
	return slog.New(errs), func() {}
}

// touch makes the file with its mode, so that the rotation keeps it.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
