//go:build !windows

package texts

// preferred is the language of the system where the environment does not say it.
func preferred() string { return "" }
