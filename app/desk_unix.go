//go:build !windows && !darwin

package app

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/esiqveland/notify"
	"github.com/godbus/dbus/v5"
)

const (
	trayHostName     = "org.kde.StatusNotifierWatcher"
	notificationName = "org.freedesktop.Notifications"
	notificationPath = "/org/freedesktop/Notifications"
)

// desk is what the desktop around us offers: its session bus, and on it a tray
// host and a notification server, each of which may come and go.
//
// The connection is our own. systray uses the one that godbus shares, and
// gives up on the tray when it sees a signal there that is not for it.
type desk struct {
	act  func(Action) // must not block
	log  *slog.Logger
	wg   sync.WaitGroup
	host chan struct{} // rings when a tray host has appeared

	mu    sync.Mutex
	conn  *dbus.Conn        // nil: there is no session bus
	why   error             // why there is none
	ids   map[string]uint32 // notifications on show, by key
	notes map[uint32]Notice
}

// patience is how long the bus may take to answer a question.
const patience = 2 * time.Second

func newDesk(act func(Action), log *slog.Logger) *desk {
	return &desk{
		act:   act,
		log:   log,
		host:  make(chan struct{}, 1),
		why:   errors.New("the session bus was not looked for yet"),
		ids:   map[string]uint32{},
		notes: map[uint32]Notice{},
	}
}

// connect looks for the session bus without ever starting one.
func (d *desk) connect() {
	conn, err := dialBus()
	d.mu.Lock()
	d.conn, d.why = conn, err
	d.mu.Unlock()
	if err != nil {
		return
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals) // closed with the connection
	d.wg.Go(func() {
		for s := range signals {
			d.receive(s)
		}
	})
	err = errors.Join(
		conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, trayHostName)),
		conn.AddMatchSignal(dbus.WithMatchInterface(notificationName), dbus.WithMatchSender(notificationName)),
	)
	if err != nil {
		d.log.Warn("the session bus tells no news", "err", err)
	}
}

// line returns the connection, or why there is none.
func (d *desk) line() (*dbus.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn, d.why
}

// dialBus connects to the session bus, and gives up on one that accepts and
// says nothing.
func dialBus() (*dbus.Conn, error) {
	type dialled struct {
		conn *dbus.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, err := dbus.SessionBusPrivateNoAutoStartup()
		if err == nil {
			if err = conn.Auth(nil); err == nil {
				err = conn.Hello()
			}
			if err != nil {
				conn.Close()
				conn = nil
			}
		}
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		return d.conn, d.err
	case <-time.After(patience):
		return nil, errors.New("the session bus does not answer")
	}
}

// receive reads one signal. Only its shape is trusted to be wrong.
func (d *desk) receive(s *dbus.Signal) {
	switch s.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, old, owner string
		if dbus.Store(s.Body, &name, &old, &owner) == nil && name == trayHostName && owner != "" {
			select {
			case d.host <- struct{}{}:
			default:
			}
		}
	case notificationName + ".ActionInvoked":
		var id uint32
		var key string
		if dbus.Store(s.Body, &id, &key) != nil {
			return
		}
		d.mu.Lock()
		n := d.notes[id]
		conn := d.conn
		d.mu.Unlock()
		if action := n.of(key); action != (Action{}) {
			d.forget(id) // one click is one action
			conn.Object(notificationName, notificationPath).Go(notificationName+".CloseNotification", dbus.FlagNoReplyExpected, nil, id)
			d.act(action)
		}
	case notificationName + ".NotificationClosed":
		var id, reason uint32
		if dbus.Store(s.Body, &id, &reason) == nil {
			d.forget(id)
		}
	}
}

// of returns the action behind a key that the notification server sent.
func (n Notice) of(key string) Action {
	if key == "default" {
		key = "0"
	}
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Buttons) {
		return n.Buttons[i].Action
	}
	return Action{}
}

func (d *desk) forget(id uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.notes[id]; ok {
		delete(d.notes, id)
		if d.ids[n.Key] == id {
			delete(d.ids, n.Key)
		}
	}
}

// lost is closed when the bus is; nil, which blocks for ever, when there is none.
func (d *desk) lost() <-chan struct{} {
	conn, err := d.line()
	if err != nil {
		return nil
	}
	return conn.Context().Done()
}

// bus says why there is no session bus, or nil.
func (d *desk) bus() error {
	conn, err := d.line()
	if err == nil && conn.Context().Err() != nil {
		return errors.New("the session bus went away")
	}
	return err
}

// trayHost reports whether somebody shows tray icons now.
func (d *desk) trayHost() bool { return d.owned(trayHostName) }

// notifications reports whether somebody shows notifications now, or would be
// started for it.
func (d *desk) notifications() bool {
	if d.owned(notificationName) {
		return true
	}
	var names []string
	if err := d.ask("ListActivatableNames").Store(&names); err != nil {
		return false
	}
	for _, name := range names {
		if name == notificationName {
			return true
		}
	}
	return false
}

func (d *desk) owned(name string) bool {
	var has bool
	return d.ask("NameHasOwner", name).Store(&has) == nil && has
}

// ask calls a method of the bus itself.
func (d *desk) ask(method string, args ...any) *dbus.Call {
	conn, err := d.line()
	if err != nil {
		return &dbus.Call{Err: err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0, args...)
}

// notify shows a notice, or takes one back. It may block for as long as it
// takes the bus to start a notification server.
func (d *desk) notify(n Notice) error {
	conn, err := d.line()
	if err != nil {
		return err
	}
	d.mu.Lock()
	old, showing := d.ids[n.Key]
	d.mu.Unlock()
	if n.Quiet && !showing {
		return nil
	}
	if n.Withdraw {
		if showing {
			d.forget(old)
			return conn.Object(notificationName, notificationPath).Call(notificationName+".CloseNotification", 0, old).Err
		}
		return nil
	}
	note := notify.Notification{
		AppName:       "Keyturn",
		AppIcon:       "keyturn",
		ReplacesID:    old,
		Summary:       n.Title,
		Body:          n.Body,
		ExpireTimeout: notify.ExpireTimeoutSetByNotificationServer,
	}
	note.AddHint(notify.Hint{ID: "desktop-entry", Variant: dbus.MakeVariant("keyturn")})
	if n.Urgent {
		note.ExpireTimeout = notify.ExpireTimeoutNever // it is taken back when it has been dealt with
	}
	for i, b := range n.Buttons {
		if i == 0 {
			note.Actions = append(note.Actions, notify.NewDefaultAction(b.Label))
		}
		note.Actions = append(note.Actions, notify.Action{Key: strconv.Itoa(i), Label: b.Label})
	}
	id, err := notify.SendNotification(conn, note)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.ids[n.Key], d.notes[id] = id, n
	d.mu.Unlock()
	return nil
}

func (d *desk) close() {
	if conn, err := d.line(); err == nil {
		conn.Close()
	}
	d.wg.Wait()
}
