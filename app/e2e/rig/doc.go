// Package rig is what surrounds the real programs when they are tested and
// measured: a session bus with tray host and notification server, an opener
// that remembers, a person who answers consent pages, and an install with a
// home of its own.
//
// It is for Linux, and used by app/e2e and app/bench. Every function takes the
// test it works for and fails it with what it was waiting for.
package rig
