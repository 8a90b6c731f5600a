package socket

import (
	"path/filepath"
	"strings"
)

// Process is a program at the other end of a connection, as the system named
// it when it was asked. A process can choose its name: it is for the user to
// recognise, and decides nothing. The words are a stranger's.
type Process struct {
	PID  int    // 0: unknown
	Name string // "git", "deploy.sh (bash)", "bash via keyturn"; empty: unknown
}

// commandLine is the program that speaks to the socket for others.
const commandLine = "keyturn"

// process names pid. Behind the command line of Keyturn it is whoever called
// that; what calls it is gone soon, so this is asked while it waits.
func process(pid int) Process {
	name, parent := lookUp(pid)
	if name == commandLine && parent > 0 {
		if caller, _ := lookUp(parent); caller != "" {
			name = caller + " via " + name
		}
	}
	return Process{PID: pid, Name: name}
}

// nameOf makes a name of the executable and of what the process calls itself,
// which may be cut: a script says both.
func nameOf(executable, title string) string {
	executable = strings.TrimSuffix(filepath.Base(executable), " (deleted)") // replaced while it ran
	if executable == "." {
		return title
	}
	executable = strings.TrimSuffix(executable, ".exe")
	if title == "" || strings.HasPrefix(executable, title) {
		return executable
	}
	return title + " (" + executable + ")"
}
