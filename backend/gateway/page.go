package gateway

import "keyturn/backend/page"

// The fixed pages. Nothing of a request is in any of them.
var (
	nothingHere = page.Page{
		Tone:    page.Idle,
		State:   "Nothing here",
		Heading: "There is nothing to see here",
		Text:    "This address belongs to Keyturn. It takes the answers of providers, and nothing else.",
		Hint:    page.CloseTab,
	}
	goingOn = page.Render(page.Page{
		Tone:    page.Working,
		State:   "Going on",
		Heading: "One moment",
		Text:    "This page goes on to the Keyturn on your computer by itself.",
		Hint:    "If it stays, Keyturn is not running there any more: start it, and connect again.",
	})
	incomplete = page.Page{
		Tone:    page.Idle,
		State:   "Not usable",
		Heading: "This link is not complete",
		Text:    "It does not look like an answer of a provider. If one sent you here, start again from Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	tooMany = page.Page{
		Tone:    page.Idle,
		State:   "Too fast",
		Heading: "One moment, please",
		Text:    "Too many answers came from your network within a minute. Wait a little, then reload this page.",
		Hint:    "Nothing was changed.",
	}
	notForUs = page.Page{
		Tone:    page.Idle,
		State:   "Not in progress",
		Heading: "There is nothing to finish here",
		Text:    "This answer was not asked for through this gateway, or too long ago. Start again from Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	notReachable = page.Page{
		Tone:    page.Bad,
		State:   "Not reachable",
		Heading: "Your Keyturn is not reachable",
		Text:    "It does not run, or has no connection. Start it, then reload this page; after a few minutes, start again from Keyturn.",
		Hint:    "Nothing was changed.",
	}
	usedUp = page.Page{
		Tone:    page.Idle,
		State:   "Already used",
		Heading: "This link was used already",
		Text:    "It works once, and your Keyturn has taken it. See there how it went.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
)

// Unreachable and NotForUs answer for ways outside this package.
func Unreachable(outcome string) Answer {
	return Answer{Status: 502, Page: notReachable, Outcome: outcome}
}

// NotForUs: see Unreachable.
func NotForUs(outcome string) Answer {
	return Answer{Status: 400, Page: notForUs, Outcome: outcome}
}
