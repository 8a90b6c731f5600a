package texts

import (
	"fmt"

	"keyturn/backend/fault"
)

// counted fits sentences that are the same for every number but for the number.
func counted(sentence string) func(int) string {
	return func(n int) string { return fmt.Sprintf(sentence, n) }
}

// about fits sentences about one thing.
func about(sentence string) func(string) string {
	return func(what string) string { return fmt.Sprintf(sentence, what) }
}

// always fits sentences that name nothing.
func always(sentence string) func(string) string { return func(string) string { return sentence } }

var english = &Texts{
	Menu: Menu{
		Title:              about("Keyturn: %s"),
		Connect:            "Connect",
		More:               "More…",
		Open:               "Open Keyturn",
		Quit:               "Quit",
		Pause:              "Pause hand-outs",
		Resume:             "Resume hand-outs",
		Lock:               "Lock",
		Unlock:             "Unlock",
		OpenPage:           "Open page again",
		CopyLink:           "Copy link",
		Cancel:             "Cancel",
		Reconnect:          "Reconnect",
		Disconnect:         "Disconnect",
		TryAgainNow:        "Try again now",
		Finishing:          about("%s · finishing"),
		Waiting:            about("%s · waiting for you in the browser"),
		MoreConnections:    counted("%d more…"),
		MoreConnectionsHow: counted("%d more: keyturn status"),
		MoreProvidersHow:   "More: keyturn providers list",
		NoProviderIsReady:  "No provider is ready: keyturn apps upsert",
	},
	Mood: Mood{
		Starting:          "starting",
		Locked:            "locked, the key that seals your tokens is not available",
		Paused:            "hand-outs are paused",
		Damaged:           "a stored entry is damaged",
		Nothing:           "nothing connected yet",
		Well:              "all well",
		Connecting:        about("connecting %s"),
		NeedsReconnect:    about("%s needs to be reconnected"),
		Retrying:          about("%s could not be renewed, trying again"),
		ManyConnecting:    counted("%d connects under way"),
		ManyNeedReconnect: counted("%d connections need to be reconnected"),
		ManyRetrying:      counted("%d connections could not be renewed, trying again"),
		Unreadable:        about("not able to read its store. %s"),
	},
	Notices: Notices{
		Show:      "Show",
		Reconnect: "Reconnect",
		TryAgain:  "Try again",
		OpenPage:  "Open page again",
		CopyLink:  "Copy link",
		Snooze:    "Snooze for an hour",

		Connected: func(provider, account string) string {
			if account == "" {
				return provider + " connected"
			}
			return provider + " connected as " + account
		},
		Who: func(provider, account string) string {
			if account == "" {
				return provider
			}
			return provider + " as " + account
		},
		ManyConnected:  counted("%d accounts connected"),
		NotGranted:     about("Not granted: %s."),
		ManyNotGranted: counted("%d of the scopes asked for were not granted."),
		NotConnected:   about("%s was not connected"),
		Why: map[fault.Code]func(string) string{
			fault.Denied:                 about("Access was denied at %s. Nothing was stored."),
			fault.Expired:                always("Nobody answered in time. You can start again whenever you like."),
			fault.IssMissing:             about("The answer did not say that it came from %s, so it was not used."),
			fault.IssMismatch:            about("The answer came from somebody else than %s, so it was not used."),
			fault.ExchangeFailed:         about("%s did not accept the authorization code. Try again."),
			fault.ExchangeOutcomeUnknown: about("The connection to %s broke at the last step. Try again."),
			fault.IdentityFailed:         about("%s did not say whose account it is. Nothing was stored."),
			fault.ProviderUnavailable:    about("%s does not answer. Check the network, or try again later."),
			fault.ProviderError:          about("%s answered with an error. Try again."),
			fault.ClientRefused:          about("%s does not accept the OAuth app. Check its client id and secret."),
			fault.StoreLocked:            always("The key that seals your tokens is not available. Unlock your keyring and try again."),
			fault.DiskFull:               about("The disk is full, so the connection to %s could not be saved."),
			fault.PortInUse:              about("Another program uses the port that %s has to answer to."),
		},

		NeedsReconnect:    about("%s needs to be reconnected"),
		NotRenewed:        about("%s cannot be renewed"),
		NotSaved:          about("%s could not be saved"),
		SignIn:            func(whose, day string) string { return whose + " will ask you to sign in again on " + day },
		Day:               "Monday, 2 January",
		ManyNeedReconnect: counted("%d connections need to be reconnected"),
		ManyNotRenewed:    counted("%d connections cannot be renewed"),
		ManyNotSaved:      counted("%d connections could not be saved"),
		ManySignIn:        counted("%d connections will ask you to sign in again soon"),
		Two:               func(one, other string) string { return one + " and " + other + "." },
		Several: func(one, other string, more int) string {
			return fmt.Sprintf("%s, %s and %d more.", one, other, more)
		},

		WaitsFor:      about("%s waits for you in the browser already"),
		NoBrowserFor:  about("%s waits, but no browser came up"),
		LinkNotCopied: "The link could not be copied",
		NoClipboard: about("There is no clipboard tool here (wl-copy, xclip or xsel). " +
			"Cancel, and let the command line print the link: keyturn connect %s --no-browser"),
		NotDisconnected:        about("%s was not disconnected"),
		DisconnectedHere:       about("%s is disconnected here"),
		RevokingLater:          about("%s cannot be reached to withdraw the access. Keyturn goes on trying and shows it until it is done."),
		RevocationNotConfirmed: about("%s did not confirm that the access is withdrawn. You can withdraw it in your account there."),
	},
}
