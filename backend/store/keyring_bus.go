//go:build !darwin && !windows

package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"

	"keyturn/backend/fault"
)

// Names of the Secret Service API 0.2.
const (
	secretsName       = "org.freedesktop.secrets"
	secretsPath       = dbus.ObjectPath("/org/freedesktop/secrets")
	secretsService    = "org.freedesktop.Secret.Service"
	secretsCollection = "org.freedesktop.Secret.Collection"
	secretsPrompt     = "org.freedesktop.Secret.Prompt"
	loginCollection   = secretsPath + "/collection/login"
)

// keyringGuard finds out whether the Secret Service is there and open before
// the keyring library is asked, because the library starts a bus of its own
// where there is none, takes a missing collection for a locked one, and waits
// for ever for a person. It asks the person itself, once: a question that was
// closed is not put again, and one that is still open is not doubled.
type keyringGuard struct {
	mu    sync.Mutex
	asked *dbus.Conn // holds the question open; nil when none was asked
	ended bool       // the question was answered or closed
}

// ready returns nil when the collection that holds our item is unlocked.
func (g *keyringGuard) ready(ctx context.Context) error {
	// Never the autolaunching kind: it leaves stray daemons behind.
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err == nil {
		if err = conn.Auth(nil); err == nil {
			err = conn.Hello()
		}
		if err != nil {
			_ = conn.Close()
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return didNotAnswer()
		}
		return fault.Wrap(fmt.Errorf("session bus: %w", err), fault.StoreLocked, "There is no keyring here, because there is no desktop session to hold one. To seal the secrets without it, %s", howToChoose)
	}
	defer conn.Close()
	if err := g.open(ctx, conn); err != nil {
		if ctx.Err() != nil && fault.CodeOf(err) != fault.StoreLocked {
			return didNotAnswer()
		}
		return err
	}
	return nil
}

func (g *keyringGuard) open(ctx context.Context, conn *dbus.Conn) error {
	there, err := serviceThere(ctx, conn)
	if err != nil {
		return err
	}
	if !there {
		return fault.New(fault.StoreLocked, "No keyring runs in this session. Start one (GNOME Keyring, KWallet, KeePassXC), or %s", howToChoose)
	}
	collection, err := collectionOf(ctx, conn)
	if err != nil {
		return err
	}
	if collection == "" {
		return fault.New(fault.StoreLocked, "The keyring has nowhere to put a key. Make a default keyring with its own program (Passwords and Keys, for example), or %s", howToChoose)
	}
	locked := false
	if err := property(ctx, conn, collection, secretsCollection, "Locked", &locked); err != nil {
		return err
	}
	if !locked {
		return nil
	}
	return g.ask(ctx, collection)
}

// serviceThere reports whether the Secret Service runs or would be started.
func serviceThere(ctx context.Context, conn *dbus.Conn) (bool, error) {
	var has bool
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&has); err != nil {
		return false, fmt.Errorf("session bus: %w", err)
	}
	if has {
		return true, nil
	}
	var names []string
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&names); err != nil {
		return false, fmt.Errorf("session bus: %w", err)
	}
	return slices.Contains(names, secretsName), nil
}

// collectionOf returns the collection that the keyring library uses: login,
// else the default one; "" when there is neither.
func collectionOf(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	var all []dbus.ObjectPath
	if err := property(ctx, conn, secretsPath, secretsService, "Collections", &all); err != nil {
		return "", err
	}
	if slices.Contains(all, loginCollection) {
		return loginCollection, nil
	}
	var path dbus.ObjectPath
	if err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, secretsService+".ReadAlias", 0, "default").Store(&path); err != nil {
		return "", fmt.Errorf("secret service: %w", err)
	}
	if path == "/" {
		return "", nil
	}
	return path, nil
}

// ask lets the keyring ask its user to unlock collection, and waits as long as
// ctx allows. The question outlives the wait.
func (g *keyringGuard) ask(ctx context.Context, collection dbus.ObjectPath) error {
	g.mu.Lock()
	asked, ended := g.asked != nil, g.ended
	g.mu.Unlock()
	switch {
	case asked && ended:
		return fault.New(fault.StoreLocked, "The keyring is locked. Unlock it with its own program (Passwords and Keys, for example): Keyturn notices. Or start Keyturn again to be asked once more.")
	case asked:
		return waitingForUnlock()
	}
	conn, err := dbus.SessionBusPrivateNoAutoStartup()
	if err != nil {
		return fmt.Errorf("session bus: %w", err)
	}
	g.mu.Lock()
	g.asked = conn
	g.mu.Unlock()
	unlocked, err := g.prompt(ctx, conn, collection)
	if err != nil {
		g.end()
		return err
	}
	select {
	case open := <-unlocked:
		if open {
			return nil
		}
		return fault.New(fault.StoreLocked, "The keyring stayed locked, so the saved connections cannot be opened. Unlock it with its own program (Passwords and Keys, for example): Keyturn notices. Or start Keyturn again to be asked once more.")
	case <-ctx.Done():
		return waitingForUnlock()
	}
}

func waitingForUnlock() error {
	return fault.New(fault.StoreLocked, "The keyring is locked and asks for its password. Unlock it: Keyturn goes on by itself.")
}

// prompt puts the question on conn; the answer comes on the channel.
func (g *keyringGuard) prompt(ctx context.Context, conn *dbus.Conn, collection dbus.ObjectPath) (<-chan bool, error) {
	if err := conn.Auth(nil); err != nil {
		return nil, fmt.Errorf("session bus: %w", err)
	}
	if err := conn.Hello(); err != nil {
		return nil, fmt.Errorf("session bus: %w", err)
	}
	answer := make(chan bool, 1)
	var opened []dbus.ObjectPath
	var question dbus.ObjectPath
	if err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, secretsService+".Unlock", 0, []dbus.ObjectPath{collection}).Store(&opened, &question); err != nil {
		return nil, fmt.Errorf("secret service: %w", err)
	}
	if question == "/" {
		g.end()
		answer <- len(opened) > 0
		return answer, nil
	}
	if err := conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(question), dbus.WithMatchInterface(secretsPrompt)); err != nil {
		return nil, fmt.Errorf("session bus: %w", err)
	}
	signals := make(chan *dbus.Signal, 4)
	conn.Signal(signals)
	if err := conn.Object(secretsName, question).CallWithContext(ctx, secretsPrompt+".Prompt", 0, "").Err; err != nil {
		return nil, fmt.Errorf("secret service: %w", err)
	}
	go func() {
		defer g.end()
		// The channel is closed with the connection.
		for s := range signals {
			if s.Path == question && s.Name == secretsPrompt+".Completed" {
				dismissed, _ := slices.Concat(s.Body, []any{true})[0].(bool)
				answer <- !dismissed
				return
			}
		}
		answer <- false
	}()
	return answer, nil
}

// end notes that nobody is being asked any more.
func (g *keyringGuard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	if g.asked != nil {
		_ = g.asked.Close()
	}
}

// close takes an open question back.
func (g *keyringGuard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked != nil {
		_ = g.asked.Close()
	}
}

func property[T any](ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath, iface, name string, into *T) error {
	var v dbus.Variant
	if err := conn.Object(secretsName, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, name).Store(&v); err != nil {
		return fmt.Errorf("secret service: %w", err)
	}
	if err := v.Store(into); err != nil {
		return fmt.Errorf("secret service: %s: %w", name, err)
	}
	return nil
}
