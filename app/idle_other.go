//go:build !linux

package app

// startPages has nothing to give back: the other systems take from a program
// at rest what it does not use.
type startPages struct{}

func pagesAtStart() startPages { return startPages{} }

func (startPages) giveBack() {}
