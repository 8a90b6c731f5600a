//go:build linux

package rig

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Browser is a real chromium on Keyturn's pages, led by build/browser/hands.mjs.
type Browser struct {
	t     testing.TB
	to    io.Writer
	lines *bufio.Scanner
}

// NewBrowser starts one that ends with the test. Looks are held to the pictures
// in the folder references.
func NewBrowser(t testing.TB, script, references string) *Browser {
	t.Helper()
	cmd := exec.Command("node", script, references)
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = to.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	return &Browser{t: t, to: to, lines: lines}
}

// For returns the same browser, working for another test.
func (b *Browser) For(t testing.TB) *Browser { return &Browser{t, b.to, b.lines} }

// command is one line for the browser.
type command struct {
	Do      string   `json:"do"`
	URL     string   `json:"url,omitempty"`
	Name    string   `json:"name,omitempty"`
	In      string   `json:"in,omitempty"`
	Label   string   `json:"label,omitempty"`
	Text    string   `json:"text,omitempty"`
	Key     string   `json:"key,omitempty"`
	View    string   `json:"view,omitempty"`
	Without []string `json:"without,omitempty"`
}

func (b *Browser) do(c command) (wrong []string) {
	b.t.Helper()
	if err := json.NewEncoder(b.to).Encode(c); err != nil {
		b.t.Fatal(err)
	}
	if !b.lines.Scan() {
		b.t.Fatalf("the browser has ended: %v", b.lines.Err())
	}
	var answer struct {
		Error, Page string
		Wrong       []string
	}
	if err := json.Unmarshal(b.lines.Bytes(), &answer); err != nil {
		b.t.Fatal(err)
	}
	if answer.Error != "" {
		b.t.Fatalf("%s\nThe page says:\n%s", answer.Error, answer.Page)
	}
	return answer.Wrong
}

// Open opens the page at url in a fresh profile.
func (b *Browser) Open(url string) { b.t.Helper(); b.do(command{Do: "open", URL: url}) }

// Press presses the button, link or box of that name; PressIn the one in the
// group, row or dialog that holds a text.
func (b *Browser) Press(name string) { b.t.Helper(); b.do(command{Do: "press", Name: name}) }
func (b *Browser) PressIn(place, name string) {
	b.t.Helper()
	b.do(command{Do: "press", Name: name, In: place})
}

// Unfold shows what is folded away under a heading.
func (b *Browser) Unfold(place, name string) {
	b.t.Helper()
	b.do(command{Do: "unfold", Name: name, In: place})
}

// Fill fills the field with that label.
func (b *Browser) Fill(label, text string) {
	b.t.Helper()
	b.do(command{Do: "fill", Label: label, Text: text})
}

// Choose chooses from the list with that label.
func (b *Browser) Choose(label, text string) {
	b.t.Helper()
	b.do(command{Do: "choose", Label: label, Text: text})
}

// Type types, Key presses one key that has a name.
func (b *Browser) Type(text string) { b.t.Helper(); b.do(command{Do: "type", Text: text}) }
func (b *Browser) Key(name string)  { b.t.Helper(); b.do(command{Do: "key", Key: name}) }

// See waits for a text.
func (b *Browser) See(text string) { b.t.Helper(); b.do(command{Do: "see", Text: text}) }

// Go goes to a view by its address.
func (b *Browser) Go(view string) { b.t.Helper(); b.do(command{Do: "go", View: view}) }

// Answer presses a button on the provider's page, with some boxes not ticked.
func (b *Browser) Answer(button string, without ...string) {
	b.t.Helper()
	b.do(command{Do: "approve", Name: button, Without: without})
}

// Look holds what is seen to the reference of that name, in every dress and
// size, and to the rules for pages.
func (b *Browser) Look(name string) {
	b.t.Helper()
	for _, wrong := range b.do(command{Do: "look", Name: name}) {
		b.t.Error(wrong)
	}
}
