//go:build !windows && !darwin

package app

import (
	"path/filepath"
	"slices"
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
	again := Button{say().Notices.TryAgain, Action{Show, viewOfProvider("github")}}
	link := Button{"Copy link", Action{CopyLink, "h1"}}
	later := Button{"Snooze", Action{Snooze, "k"}}
	for _, tt := range []struct{ in, want []Button }{
		{[]Button{showButton}, nil},
		{[]Button{again}, []Button{again}},
		{[]Button{link}, []Button{link}},
		{[]Button{showButton, link, later}, []Button{link, later}},
		{[]Button{showButton, later}, nil},
	} {
		if got := windowless(Notice{Buttons: tt.in}).Buttons; !slices.Equal(got, tt.want) {
			t.Errorf("%v became %v", tt.in, got)
		}
	}
}
