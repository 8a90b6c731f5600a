// Package e2e holds no code: its tests (build tag e2e) start the real programs
// and play everything around them: the tray host, the notification server, the
// opener, the person, and in one variant a real browser and a full desktop.
//
// The crash tests kill the program at moments of a refresh, at its system
// calls, and take its disk away; the server in the rig writes down what it
// sees, and no grant may be lost. With KEYTURN_SOAK they take their long form
// (make soak).
//
// KEYTURN_BIN is the folder of the programs; `make e2e` builds them and runs
// all of this. Screenshots are left in build/shots.
package e2e
