package app

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// copyTool is a program that puts its standard input on the clipboard.
type copyTool struct {
	needs string // an environment variable
	args  []string
}

var copyTools = map[string][]copyTool{
	"darwin":  {{"", []string{"pbcopy"}}},
	"windows": {{"", []string{"clip.exe"}}},
	"linux": {
		{"WAYLAND_DISPLAY", []string{"wl-copy"}},
		{"DISPLAY", []string{"xclip", "-selection", "clipboard"}},
		{"DISPLAY", []string{"xsel", "--clipboard", "--input"}},
	},
}

// copyWithTool puts s on the clipboard with the first tool that works here. s
// is not among the tool's arguments, which every user of the machine can read.
func copyWithTool(ctx context.Context, s string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, tool := range copyTools[runtime.GOOS] {
		if tool.needs != "" && os.Getenv(tool.needs) == "" {
			continue
		}
		program, err := exec.LookPath(tool.args[0])
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, program, tool.args[1:]...)
		cmd.Stdin = strings.NewReader(s)
		if cmd.Run() == nil {
			return nil
		}
	}
	return errors.New("no clipboard tool works here")
}
