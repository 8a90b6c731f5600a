// Package e2e holds no code: its tests (build tag e2e) start the real programs
// and play everything around them: the tray host, the notification server, the
// opener, the person, and in one variant a real browser and a full desktop.
//
// KEYTURN_BIN is the folder of the programs; `make e2e` builds them and runs
// all of this. Screenshots are left in build/shots.
package e2e
