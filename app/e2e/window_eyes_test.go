//go:build e2e && linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// eyes see the screen as a screen reader does, over AT-SPI: what they cannot
// find, somebody who cannot see cannot use.
type eyes struct {
	t   testing.TB
	bus *dbus.Conn
}

// thing is something on the screen that has a name, a role and a place.
type thing struct {
	Role role
	Name string
	Ref  ref
}

// role says what something is (AtspiRole).
type role uint32

// The roles that the tests look for.
const (
	listItem role = 32
	button   role = 43
	link     role = 88
)

// ref is how AT-SPI names an object: who has it, and where there.
type ref struct {
	Bus  string
	Path dbus.ObjectPath
}

const (
	atspi    = "org.a11y.atspi."
	rootPath = dbus.ObjectPath("/org/a11y/atspi/accessible/root")

	nowhere = dbus.ObjectPath("/org/a11y/atspi/null")

	// Bits of org.a11y.atspi.Accessible.GetState.
	focused = 12
	showing = 25
)

// see returns the eyes of the screen.
func (s *screen) see() *eyes {
	s.t.Helper()
	if s.eyes != nil {
		return s.eyes
	}
	var address string
	if err := s.bus.Object("org.a11y.Bus", "/org/a11y/bus").Call("org.a11y.Bus.GetAddress", 0).Store(&address); err != nil {
		s.t.Fatal("the accessibility bus: ", err)
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	s.eyes = &eyes{s.t, conn}
	return s.eyes
}

func (e *eyes) call(r ref, method string, args ...any) *dbus.Call {
	return e.bus.Object(r.Bus, r.Path).Call(atspi+method, 0, args...)
}

// applications returns those whose name contains words.
func (e *eyes) applications(words string) []ref {
	var all, found []ref
	_ = e.call(ref{atspi + "Registry", rootPath}, "Accessible.GetChildren").Store(&all)
	for _, app := range all {
		if strings.Contains(e.name(app), words) {
			found = append(found, app)
		}
	}
	return found
}

func (e *eyes) name(r ref) string {
	v, err := e.bus.Object(r.Bus, r.Path).GetProperty(atspi + "Accessible.Name")
	if err != nil {
		return ""
	}
	s, _ := v.Value().(string)
	return s
}

// visible reports whether something is on the screen now.
func (e *eyes) visible(r ref) bool { return e.is(showing, r) }

func (e *eyes) is(bit int, r ref) bool {
	var state []uint32
	_ = e.call(r, "Accessible.GetState").Store(&state)
	return len(state) > 0 && state[0]&(1<<bit) != 0
}

// focused names what has the focus in an application: the innermost, and only
// what has a name.
func (e *eyes) focused(application string) (name string) {
	for _, app := range e.applications(application) {
		e.walk(app, 0, func(x thing) bool {
			if x.Name != "" && e.is(focused, x.Ref) {
				name = x.Name
			}
			return true
		})
	}
	return name
}

// walk visits what an application shows, until visit says that it is enough.
// What goes away on the way is passed over.
func (e *eyes) walk(r ref, depth int, visit func(thing) bool) bool {
	if depth > 40 {
		return true
	}
	var is role
	if e.call(r, "Accessible.GetRole").Store(&is) != nil {
		return true
	}
	if !visit(thing{is, e.name(r), r}) {
		return false
	}
	for _, c := range e.children(r) {
		if !e.walk(c, depth+1, visit) {
			return false
		}
	}
	return true
}

// children returns what is inside something. A socket, in which another
// process shows its page, tells of its plug only when asked for it by number.
func (e *eyes) children(r ref) (all []ref) {
	_ = e.call(r, "Accessible.GetChildren").Store(&all)
	if len(all) > 0 {
		return all
	}
	var plug ref
	if e.call(r, "Accessible.GetChildAtIndex", int32(0)).Store(&plug) != nil || plug.Path == nowhere || plug.Bus == "" {
		return nil
	}
	return []ref{plug}
}

// text is what something says beside its name.
func (e *eyes) text(r ref) string {
	var can []string
	if e.call(r, "Accessible.GetInterfaces").Store(&can) != nil || !slices.Contains(can, atspi+"Text") {
		return ""
	}
	var s string
	_ = e.call(r, "Text.GetText", int32(0), int32(-1)).Store(&s)
	return strings.TrimSpace(strings.ReplaceAll(s, "\ufffc", " ")) // where other things stand in the text
}

// Read returns all that an application says, in order.
func (e *eyes) read(application string) string {
	var lines []string
	for _, app := range e.applications(application) {
		e.walk(app, 0, func(x thing) bool {
			for _, s := range []string{x.Name, e.text(x.Ref)} {
				if s != "" && !slices.Contains(lines, s) {
					lines = append(lines, s)
				}
			}
			return true
		})
	}
	return strings.Join(lines, "\n")
}

// waitRead waits until an application says all of words.
func (e *eyes) waitRead(application string, words ...string) {
	e.t.Helper()
	var said string
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		said = e.read(application)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(said, w) }) {
			return
		}
	}
	e.t.Fatalf("%s does not say all of %q, but:\n%s", application, words, said)
}

// find waits for something visible with a role, whose name contains words.
func (e *eyes) find(application string, is role, words string) (found thing) {
	e.t.Helper()
	var seen []string
	limit := time.Now().Add(10 * time.Second)
	for {
		seen = nil
		for _, app := range e.applications(application) {
			if !e.walk(app, 0, func(x thing) bool {
				seen = append(seen, fmt.Sprintf("%d %q", x.Role, x.Name))
				if x.Role == is && strings.Contains(x.Name, words) && e.visible(x.Ref) {
					found = x
					return false
				}
				return true
			}) {
				return found
			}
		}
		if time.Now().After(limit) {
			e.t.Fatalf("no %d %q in %s, but:\n%s", is, words, application, strings.Join(seen, "\n"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// press does what a click on it would.
func (e *eyes) press(x thing) {
	e.t.Helper()
	var done bool
	if err := e.call(x.Ref, "Action.DoAction", int32(0)).Store(&done); err != nil || !done {
		e.t.Fatalf("%d %q cannot be pressed: %v", x.Role, x.Name, err)
	}
}
