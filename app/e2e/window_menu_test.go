//go:build e2e && linux

package e2e

import (
	"image"
	"image/color"
	"slices"
	"strings"
	"time"

	"keyturn/app/e2e/rig"
)

// popup is an open menu of the panel. The panel tells no screen reader of it,
// so what it says is asked of the program, and where a line is, is read from
// the screen: the nth line is the nth band of letters.
type popup struct {
	s     *screen
	where image.Rectangle
	lines []rig.Line
}

// menu opens the menu of the tray icon with the mouse.
func (s *screen) menu() popup {
	s.t.Helper()
	s.click(s.icon())
	return s.popup(nil, func() []rig.Line { return s.item().Lines() })
}

// item is the tray item that the panel shows.
func (s *screen) item() (tr rig.Tray) {
	s.t.Helper()
	rig.Eventually(s.t, 10*time.Second, "an item at the panel", func() bool {
		v, err := s.bus.Object("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher").GetProperty("org.kde.StatusNotifierWatcher.RegisteredStatusNotifierItems")
		items, _ := v.Value().([]string)
		if err != nil || len(items) != 1 {
			return false
		}
		service, _, _ := strings.Cut(items[0], "/")
		tr = rig.TrayAt(s.t, s.bus, service)
		return true
	})
	return tr
}

// popup waits for a menu that is painted, other than those that are open.
func (s *screen) popup(open []image.Rectangle, read func() []rig.Line) popup {
	s.t.Helper()
	p := popup{s: s}
	rig.Eventually(s.t, 10*time.Second, "an open menu", func() bool {
		p.lines = slices.DeleteFunc(read(), func(l rig.Line) bool { return l.Label == "" }) // what separates
		for _, id := range strings.Fields(s.ask("xdotool", "search", "--onlyvisible", "--class", "^Wrapper-2.0$")) {
			where, ok := s.geometry(id)
			if ok && where.Min.Y > 0 && where.Dx() > panelHeight && !slices.Contains(open, where) {
				p.where = where
				return len(p.lines) > 0 && len(bands(s.look(), where)) == len(p.lines)
			}
		}
		return false
	})
	return p
}

// place is where a line is on the screen.
func (p popup) place(words string) image.Rectangle {
	p.s.t.Helper()
	i := slices.IndexFunc(p.lines, func(l rig.Line) bool { return strings.Contains(l.Label, words) })
	b := bands(p.s.look(), p.where)
	if i < 0 || i >= len(b) {
		p.s.t.Fatalf("no line %q among %d in the menu: %+v", words, len(b), p.lines)
	}
	return b[i]
}

// open points at a line until its submenu is there.
func (p popup) open(words string) popup {
	p.s.t.Helper()
	p.s.point(p.place(words))
	return p.s.popup([]image.Rectangle{p.where}, func() []rig.Line {
		l, _ := rig.Find(p.lines, words)
		return l.Lines
	})
}

// bands finds the lines of text in a menu. Lines that separate reach from side
// to side, and are none.
func bands(img image.Image, menu image.Rectangle) (found []image.Rectangle) {
	inside := menu.Inset(2)
	paper := img.At(inside.Min.X+1, inside.Min.Y)
	for y := inside.Min.Y; y < inside.Max.Y; y++ {
		ink := 0
		for x := inside.Min.X; x < inside.Max.X; x++ {
			if far(img.At(x, y), paper) {
				ink++
			}
		}
		if ink == 0 || ink > inside.Dx()*9/10 {
			continue
		}
		row := image.Rect(inside.Min.X, y, inside.Max.X, y+1)
		if n := len(found); n > 0 && y-found[n-1].Max.Y < 4 { // the dot of an i
			found[n-1] = found[n-1].Union(row)
		} else {
			found = append(found, row)
		}
	}
	return slices.DeleteFunc(found, func(r image.Rectangle) bool { return r.Dy() < 5 })
}

// far reports whether two colours can be told apart easily.
func far(a, b color.Color) bool {
	x, y := color.GrayModel.Convert(a).(color.Gray).Y, color.GrayModel.Convert(b).(color.Gray).Y
	return max(x, y)-min(x, y) > 48
}
