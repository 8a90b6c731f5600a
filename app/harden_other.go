//go:build !linux

package app

// harden has nothing to do: other systems ask the user before a process reads
// another's memory, or do not let it.
func harden() error { return nil }
