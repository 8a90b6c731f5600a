// Package texts holds what the tray and notifications say. Sentences are whole,
// so that a language is one more file like en.go, and one more line in
// languages. What the core says itself is in English: why something failed
// (fault.MessageOf), and how a connection is, which other languages say from the
// same facts.
package texts

import (
	"cmp"
	"os"
	"strings"
	"sync/atomic"

	"keyturn/backend/fault"
)

// Texts are the words of one language. Names of providers, accounts and scopes
// come clean and cut to length.
type Texts struct {
	Health  *Health // nil: as the core says it, which is in English
	Menu    Menu
	Mood    Mood
	Notices Notices
}

// Menu is the menu of the tray.
type Menu struct {
	Title                               func(mood string) string
	Connect, More, Open, Quit           string
	Pause, Resume, Lock, Unlock         string
	OpenPage, CopyLink, Cancel          string
	Reconnect, Disconnect, TryAgainNow  string
	Finishing, Waiting                  func(provider string) string
	MoreConnections, MoreConnectionsHow func(n int) string // in the window; on the command line
	MoreProvidersHow, NoProviderIsReady string
}

// Mood is the overall state in words: begun small, because it follows a colon.
type Mood struct {
	Starting, Locked, Paused, Damaged, Nothing, Well string
	Connecting, NeedsReconnect, Retrying             func(whose string) string
	ManyConnecting, ManyNeedReconnect, ManyRetrying  func(n int) string
	Unreadable                                       func(why string) string
}

// Notices are the notifications.
type Notices struct {
	Show, Reconnect, TryAgain, OpenPage, CopyLink, Snooze string

	Connected, Who func(provider, account string) string // account may be ""; Who is for lists
	ManyConnected  func(n int) string
	NotGranted     func(scope string) string
	ManyNotGranted func(n int) string
	NotConnected   func(provider string) string
	Why            map[fault.Code]func(provider string) string // absent: the core's own sentence

	// Of one connection, and of several.
	NeedsReconnect, NotRenewed, NotSaved func(whose string) string
	SignIn                               func(whose, day string) string
	Day                                  string // layout of a day, as in time.Format

	ManyNeedReconnect, ManyNotRenewed, ManyNotSaved, ManySignIn func(n int) string
	Two                                                         func(one, other string) string
	Several                                                     func(one, other string, more int) string

	LinkNotCopied                         string
	WaitsFor, NoBrowserFor                func(provider string) string
	NoClipboard                           func(provider string) string
	NotDisconnected, DisconnectedHere     func(provider string) string
	RevokingLater, RevocationNotConfirmed func(provider string) string
}

var languages = map[string]*Texts{"de": german, "en": english}

var spoken atomic.Pointer[Texts]

func init() { Speak("") }

// Here are the words for this process.
func Here() *Texts { return spoken.Load() }

// Speak chooses the language of this process: one of config.Languages, or "" for
// that of the environment.
func Speak(language string) {
	t := languages[language]
	if t == nil {
		t = of(os.Getenv)
	}
	spoken.Store(t)
}

// of returns the words of the language that the environment asks for (POSIX
// locale(7): LC_ALL, LC_MESSAGES, LANG), or else the system, or English.
func of(getenv func(string) string) *Texts {
	locale := cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG"), preferred())
	end := strings.IndexAny(locale, "_-.@")
	if end < 0 {
		end = len(locale)
	}
	if t := languages[strings.ToLower(locale[:end])]; t != nil {
		return t
	}
	return english
}
