package transport

import "keyturn/backend/page"

// The fixed pages.
var (
	finishingPage = page.Page{
		Tone:    page.Working,
		State:   "Finishing",
		Heading: "One moment",
		Text:    "Your answer has arrived. Keyturn is finishing with the provider.",
		Hint:    "This page changes by itself. Please leave it open.",
		Reload:  true,
	}
	closedPage = page.Page{
		Tone:    page.Idle,
		State:   "Interrupted",
		Heading: "Keyturn was closed",
		Text:    "It was closed before the connection was finished, so this page does not know how it went.",
		Hint:    "Open Keyturn again to see whether the account is connected.",
	}
	strangeLink = page.Page{
		Tone:    page.Idle,
		State:   "Not in progress",
		Heading: "There is nothing to finish here",
		Text:    "This link does not belong to anything in progress. Start again from Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	usedLink = page.Page{
		Tone:    page.Idle,
		State:   "Already used",
		Heading: "This link was used already",
		Text:    "It works once, and Keyturn has taken it. The first tab shows how it went, and so does Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	brokenLink = page.Page{
		Tone:    page.Idle,
		State:   "Not usable",
		Heading: "This link is not complete",
		Text:    "It does not look like an answer of a provider. If one sent you here, start again from Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	anothersBrowser = page.Page{
		Tone:    page.Idle,
		State:   "Refused",
		Heading: "This browser runs as another user",
		Text:    "Keyturn accepts an answer only from a browser of the person who uses Keyturn. Open the link in your own browser, or start again from Keyturn.",
		Hint:    "Nothing was changed. " + page.CloseTab,
	}
	goneResult = page.Page{
		Tone:    page.Idle,
		State:   "Expired",
		Heading: "This page has had its day",
		Text:    "Keyturn shows results here for a minute. What is connected is listed in Keyturn itself.",
		Hint:    page.CloseTab,
	}
	nothingHere = page.Page{} // answered in one line
)

var finishing = page.Render(finishingPage)
