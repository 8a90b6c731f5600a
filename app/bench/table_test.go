//go:build bench && linux

package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// runs is how often everything is measured; what counts is the median.
const runs = 5

// A line is one promise of the table, and what came of it.
type line struct {
	id, what            string
	measured, yardstick string
	ratio               float64 // measured by yardstick; 0 where there is none
	allowed             string
	// excess is what was measured by what is allowed: kept up to 1.
	excess float64
	// broken says that a promise that knows no noise did not hold.
	broken bool
}

// A line fails the test when it is beyond what noise explains.
func (l line) fails() bool { return l.broken || l.excess > 2 }

func (l line) verdict() string {
	switch {
	case l.broken:
		return "BROKEN"
	case l.excess > 2:
		return "MISSED"
	case l.excess > 1:
		return "missed"
	}
	return "kept"
}

// compare is the line of a figure that may be a number of times its yardstick.
func compare(id, what string, measured, yardstick time.Duration, of string, allowed float64) line {
	ratio := float64(measured) / float64(yardstick)
	return line{
		id: id, what: what,
		measured: show(measured), yardstick: of + " " + show(yardstick),
		ratio:   ratio,
		allowed: fmt.Sprintf("%g ×", allowed), excess: ratio / allowed,
	}
}

// within is the line of a figure that has a limit of its own. Its yardstick
// tells how fast the machine was.
func within(id, what string, measured, yardstick time.Duration, of string, limit time.Duration) line {
	return line{
		id: id, what: what,
		measured: show(measured), yardstick: of + " " + show(yardstick),
		ratio:   float64(measured) / float64(yardstick),
		allowed: show(limit), excess: float64(measured) / float64(limit),
	}
}

// write draws the table.
func write(to io.Writer, lines []line) {
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	head := []string{"", "what", "measured", "yardstick", "ratio", "allowed", "verdict"}
	rule := make([]string, len(head))
	row(head...)
	for column := range head {
		widest := len(head[column])
		for _, l := range lines {
			widest = max(widest, len([]rune(l.cells()[column])))
		}
		rule[column] = strings.Repeat("─", widest)
	}
	row(rule...)
	for _, l := range lines {
		row(l.cells()...)
	}
	_ = w.Flush()
}

func (l line) cells() []string {
	ratio := "–"
	if l.ratio > 0 {
		ratio = fmt.Sprintf("%.2f ×", l.ratio)
	}
	return []string{l.id, l.what, l.measured, l.yardstick, ratio, l.allowed, l.verdict()}
}

// show writes a duration with three digits.
func show(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < time.Millisecond:
		return three(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return three(float64(d)/float64(time.Millisecond)) + " ms"
	}
	return three(d.Seconds()) + " s"
}

func three(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// median returns the middle of what was measured.
func median(d []time.Duration) time.Duration { return percentile(d, 50) }

// percentile returns the value that q of a hundred stay below.
func percentile(d []time.Duration, q int) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, len(d)*q/100)]
}
