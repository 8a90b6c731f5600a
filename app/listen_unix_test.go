//go:build !windows && !darwin

package app

import (
	"path/filepath"
	"testing"

	"keyturn/backend/api/wire"
)

func TestNotificationsCanBeSwitchedOff(t *testing.T) {
	conn := startBus(t)
	s := serveNotifications(t, conn)
	d, _ := testDesk(t)
	a := &App{
		settings: openSettings(filepath.Join(t.TempDir(), "config.toml")),
		desk:     d,
		window:   newWindow(nil, discard),
		log:      discard,
	}
	if err := a.notify(Notice{Key: "a", Title: "on"}); err != nil {
		t.Fatal(err)
	}
	if n := receive(t, "the notification", s.notes); n.title != "on" {
		t.Errorf("%+v", n)
	}
	if err := a.settings.save(wire.Settings{CallbackPort: 27419, Notifications: false}); err != nil {
		t.Fatal(err)
	}
	if err := a.notify(Notice{Key: "b", Title: "off"}); err == nil {
		t.Error("a notification that the user does not want was reported as shown")
	}
	if err := a.settings.save(wire.Settings{CallbackPort: 27419, Notifications: true}); err != nil {
		t.Fatal(err)
	}
	_ = a.notify(Notice{Key: "c", Title: "on again"})
	if n := receive(t, "the notification", s.notes); n.title != "on again" {
		t.Errorf("%+v was shown all the same", n)
	}
}

func TestWithoutAWindowANotificationLeadsWhereItCan(t *testing.T) {
	for _, tt := range []struct {
		in   Notice
		want Action
	}{
		{Notice{Action: Action{Show, ViewConnections}, Button: "Show"}, Action{}},
		{Notice{Action: Action{Show, viewOfProvider("github")}, Button: "Show"}, Action{}},
		{Notice{Action: Action{Show, viewOfProvider("github")}, Button: "Try again"}, Action{Show, viewOfProvider("github")}},
		{Notice{Action: Action{CopyLink, "h1"}, Button: "Copy link"}, Action{CopyLink, "h1"}},
	} {
		if got := windowless(tt.in); got.Action != tt.want || (got.Button == "") != (tt.want == Action{}) {
			t.Errorf("%+v became %+v", tt.in, got)
		}
	}
}
