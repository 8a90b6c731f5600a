package app

import "os"

const noFollow = 0

// private believes the system: a profile folder is its user's.
func private(*os.File) error { return nil }
