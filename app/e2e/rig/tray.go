//go:build linux

package rig

import (
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// Tray is one registered tray item, seen as a panel sees it.
type Tray struct {
	Registered time.Time

	d    *Desk
	menu dbus.BusObject
	item dbus.BusObject
}

// Tray waits for the next program to register its item.
func (d *Desk) Tray() Tray {
	d.t.Helper()
	select {
	case i := <-d.items:
		return Tray{i.at, d, d.conn.Object(i.service, "/StatusNotifierItem/menu"), d.conn.Object(i.service, "/StatusNotifierItem")}
	case <-time.After(10 * time.Second):
		d.t.Fatal("no tray item was registered")
		return Tray{}
	}
}

// Line is a visible line of the menu.
type Line struct {
	Label string
	Lines []Line // of its submenu

	id int32
}

// Lines reads the menu as a panel would.
func (tr Tray) Lines() []Line {
	tr.d.t.Helper()
	var revision uint32
	var root struct {
		ID       int32
		Props    map[string]dbus.Variant
		Children []dbus.Variant
	}
	if err := tr.menu.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		tr.d.t.Fatal("menu: ", err)
	}
	return visible(root.Children)
}

func visible(children []dbus.Variant) []Line {
	var out []Line
	for _, c := range children {
		fields := c.Value().([]any)
		props := fields[1].(map[string]dbus.Variant)
		if v, ok := props["visible"]; ok && v.Value() == false {
			continue
		}
		label, _ := props["label"].Value().(string)
		out = append(out, Line{
			Label: strings.ReplaceAll(label, "__", "_"),
			Lines: visible(fields[2].([]dbus.Variant)),
			id:    fields[0].(int32),
		})
	}
	return out
}

// Find returns the line at a path of labels, of which each is a part.
func Find(lines []Line, path ...string) (Line, bool) {
	for _, l := range lines {
		if !strings.Contains(l.Label, path[0]) {
			continue
		}
		if len(path) == 1 {
			return l, true
		}
		if found, ok := Find(l.Lines, path[1:]...); ok {
			return found, true
		}
	}
	return Line{}, false
}

// Click waits for the line at a path of labels and clicks it.
func (tr Tray) Click(path ...string) {
	tr.d.t.Helper()
	tr.Press(tr.Wait(path...))
}

// Press clicks a line that is there.
func (tr Tray) Press(l Line) {
	tr.d.t.Helper()
	if err := tr.menu.Call("com.canonical.dbusmenu.Event", 0, l.id, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err; err != nil {
		tr.d.t.Fatal(err)
	}
}

// Wait waits until the menu has a line at a path of labels.
func (tr Tray) Wait(path ...string) (found Line) {
	tr.d.t.Helper()
	Eventually(tr.d.t, 5*time.Second, "menu line "+strings.Join(path, " ▸ "), func() bool {
		l, ok := Find(tr.Lines(), path...)
		found = l
		return ok
	})
	return found
}

// WaitGone waits until the menu has no such line.
func (tr Tray) WaitGone(path ...string) {
	tr.d.t.Helper()
	Eventually(tr.d.t, 5*time.Second, "no menu line "+strings.Join(path, " ▸ "), func() bool {
		_, ok := Find(tr.Lines(), path...)
		return !ok
	})
}

// Title is what the panel shows or reads out for the icon.
func (tr Tray) Title() string {
	v, err := tr.item.GetProperty("org.kde.StatusNotifierItem.Title")
	if err != nil {
		return ""
	}
	s, _ := v.Value().(string)
	return s
}

// TrayAt returns the item that a program has registered with a real panel on a
// bus: service is its name there.
func TrayAt(t testing.TB, bus *dbus.Conn, service string) Tray {
	return Tray{
		d:    &Desk{t: t, conn: bus},
		menu: bus.Object(service, "/StatusNotifierItem/menu"),
		item: bus.Object(service, "/StatusNotifierItem"),
	}
}
