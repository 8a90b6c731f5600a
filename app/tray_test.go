//go:build !darwin

package app

import (
	"runtime"
	"testing"
	"time"
)

// clicks returns a tray without a bus, and what its clicks asked for.
func clicks() (*tray, *[]Action) {
	var got []Action
	return newTray(func(a Action) { got = append(got, a) }, discard), &got
}

func TestAClickThatWasAimedAtAnotherLineIsNotObeyed(t *testing.T) {
	tr, got := clicks()
	s := &slot{}
	now := time.Now()
	disconnect := func(id string) Action { return Action{Disconnect, id} }

	tr.mean(s, disconnect("a"), now)
	tr.clicked(s, now) // a line that has just appeared was aimed at
	tr.mean(s, disconnect("b"), now)
	tr.clicked(s, now.Add(aim-1))
	tr.mean(s, disconnect("b"), now.Add(aim)) // nothing new
	tr.clicked(s, now.Add(aim))
	tr.mean(s, Action{}, now.Add(2*aim))
	tr.clicked(s, now.Add(4*aim))
	tr.mean(s, disconnect("c"), now.Add(2*aim))
	tr.clicked(s, now.Add(2*aim))

	want := []Action{disconnect("a"), disconnect("b"), disconnect("c")}
	if len(*got) != len(want) || (*got)[0] != want[0] || (*got)[1] != want[1] || (*got)[2] != want[2] {
		t.Errorf("obeyed %v, want %v", *got, want)
	}
}

func TestOnlyTheLatestMenuWaits(t *testing.T) {
	tr, _ := clicks()
	for _, title := range []string{"a", "b", "c"} {
		tr.show(Menu{Title: title}) // nobody is listening, and nobody waits
	}
	if m := <-tr.next; m.Title != "c" {
		t.Errorf("the menu that waits is %q", m.Title)
	}
}

func TestAccessKeysAreEscaped(t *testing.T) {
	got := mnemonic("a_b & __c")
	want := map[string]string{"linux": "a__b & ____c", "windows": "a_b && __c"}[runtime.GOOS]
	if want != "" && got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
