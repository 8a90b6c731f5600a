package texts

import (
	"fmt"

	"keyturn/backend/fault"
)

var german = &Texts{
	Health: &Health{
		Connected:      "verbunden",
		Unsaved:        "verbunden, aber das neueste Token konnte nicht gespeichert werden. Keyturn bitte nicht beenden",
		NeedsReconnect: about("muss neu verbunden werden: %s"),
		Retrying: func(since, next, why string) string {
			return fmt.Sprintf("wird seit %s erneut versucht, nächster Versuch %s: %s", since, next, why)
		},
		Revoking: func(since, next, why string) string {
			return fmt.Sprintf("getrennt; wird seit %s widerrufen, nächster Versuch %s: %s", since, next, why)
		},
		Because: map[fault.Code]func(string) string{
			fault.GrantGone:            about("%s hat die Freigabe beendet: Sie wurde dort widerrufen oder zu lange nicht benutzt"),
			fault.TestingEnds:          about("%s hat die Freigabe beendet, weil die OAuth-App noch im Testmodus ist"),
			fault.RefreshTokenEnds:     about("%s hat das Refresh-Token ablaufen lassen"),
			fault.PossibleLostRotation: about("%s nimmt das Refresh-Token nicht mehr an, vermutlich ging die Antwort auf die letzte Erneuerung verloren"),
			fault.AccountChanged:       about("%s hat für ein anderes Konto geantwortet als das verbundene"),
			fault.ClientRefused:        about("%s nimmt die OAuth-App nicht an: Client-ID und Client-Secret prüfen"),
			fault.ProviderError:        about("%s antwortet mit einem Fehler. Näheres steht im Protokoll"),
			fault.ConfigChanged:        about("%s hat eine andere Token-Adresse als bei der Verbindung"),
			fault.NoRefreshToken:       about("das Token von %s ist abgelaufen und lässt sich nicht erneuern"),
			fault.UnknownProvider:      about("der Anbieter %s ist nicht mehr bekannt"),
			fault.NoApp:                about("die OAuth-App von %s ist nicht mehr da"),
			fault.UnknownApp:           about("die OAuth-App von %s ist nicht mehr da"),
			fault.ClientSecretRequired: about("der OAuth-App von %s fehlt das Client-Secret"),
			fault.RateLimited:          about("%s bittet, langsamer zu fragen"),
			fault.ProviderUnavailable:  about("%s ist nicht erreichbar oder gestört"),
			fault.DiskFull:             always("der Datenträger ist voll oder schreibgeschützt"),
			fault.StoreLocked:          always("der Schlüssel zu Ihren Token ist nicht verfügbar"),
			"":                         about("%s hat noch nicht geantwortet"),
		},
		Otherwise: about("%s braucht erneut Ihre Zustimmung"),
		Now:       "jetzt",
		Clock:     "15:04",
		Day:       "2.1. 15:04",
	},
	Menu: Menu{
		Title:              about("Keyturn: %s"),
		Connect:            "Verbinden",
		More:               "Mehr\u00a0…",
		Open:               "Keyturn öffnen",
		Quit:               "Beenden",
		Pause:              "Ausgabe anhalten",
		Resume:             "Ausgabe fortsetzen",
		Lock:               "Sperren",
		Unlock:             "Entsperren",
		OpenPage:           "Seite erneut öffnen",
		CopyLink:           "Link kopieren",
		Cancel:             "Abbrechen",
		Reconnect:          "Neu verbinden",
		Disconnect:         "Trennen",
		TryAgainNow:        "Jetzt erneut versuchen",
		Finishing:          about("%s · wird abgeschlossen"),
		Waiting:            about("%s · wartet im Browser auf Sie"),
		MoreConnections:    counted("%d weitere\u00a0…"),
		MoreConnectionsHow: counted("%d weitere: keyturn status"),
		MoreProvidersHow:   "Weitere: keyturn providers list",
		NoProviderIsReady:  "Kein Anbieter ist bereit: keyturn apps upsert",
	},
	Mood: Mood{
		Starting:          "startet",
		Locked:            "gesperrt, der Schlüssel zu Ihren Token ist nicht verfügbar",
		Paused:            "die Ausgabe von Token ist angehalten",
		Damaged:           "ein gespeicherter Eintrag ist beschädigt",
		Nothing:           "noch nichts verbunden",
		Well:              "alles in Ordnung",
		Connecting:        about("%s wird verbunden"),
		NeedsReconnect:    about("%s muss neu verbunden werden"),
		Retrying:          about("%s konnte nicht erneuert werden, es wird erneut versucht"),
		ManyConnecting:    counted("%d Anmeldungen laufen"),
		ManyNeedReconnect: counted("%d Konten müssen neu verbunden werden"),
		ManyRetrying:      counted("%d Verbindungen konnten nicht erneuert werden, es wird erneut versucht"),
		Unreadable:        about("der Datenspeicher ist nicht lesbar. %s"),
	},
	Notices: Notices{
		Show:      "Anzeigen",
		Reconnect: "Neu verbinden",
		TryAgain:  "Erneut versuchen",
		OpenPage:  "Seite erneut öffnen",
		CopyLink:  "Link kopieren",
		Snooze:    "In einer Stunde erinnern",

		Connected: func(provider, account string) string {
			if account == "" {
				return provider + " verbunden"
			}
			return provider + " als " + account + " verbunden"
		},
		Who: func(provider, account string) string {
			if account == "" {
				return provider
			}
			return provider + " als " + account
		},
		ManyConnected:  counted("%d Konten verbunden"),
		NotGranted:     about("Nicht erteilt: %s."),
		ManyNotGranted: counted("%d der angefragten Berechtigungen wurden nicht erteilt."),
		NotConnected:   about("%s wurde nicht verbunden"),
		Why: map[fault.Code]func(string) string{
			fault.Denied:                 about("Der Zugriff wurde bei %s abgelehnt. Es wurde nichts gespeichert."),
			fault.Expired:                always("Niemand hat rechtzeitig geantwortet. Sie können jederzeit neu beginnen."),
			fault.IssMissing:             about("Aus der Antwort ging nicht hervor, dass sie von %s kam; sie wurde nicht verwendet."),
			fault.IssMismatch:            about("Die Antwort kam nicht von %s, sondern von jemand anderem; sie wurde nicht verwendet."),
			fault.ExchangeFailed:         about("%s hat den Autorisierungscode nicht akzeptiert. Versuchen Sie es noch einmal."),
			fault.ExchangeOutcomeUnknown: about("Die Leitung zu %s brach beim letzten Schritt ab. Versuchen Sie es noch einmal."),
			fault.IdentityFailed:         about("%s hat nicht mitgeteilt, wessen Konto es ist. Es wurde nichts gespeichert."),
			fault.ProviderUnavailable:    about("%s antwortet nicht. Prüfen Sie das Netzwerk oder versuchen Sie es später noch einmal."),
			fault.ProviderError:          about("%s hat mit einem Fehler geantwortet. Versuchen Sie es noch einmal."),
			fault.ClientRefused:          about("%s akzeptiert die OAuth-App nicht. Prüfen Sie ihre Client-ID und ihr Secret."),
			fault.StoreLocked:            always("Der Schlüssel zu Ihren Token ist nicht verfügbar. Entsperren Sie den Schlüsselbund und versuchen Sie es noch einmal."),
			fault.DiskFull:               about("Der Datenträger ist voll, deshalb konnte die Verbindung zu %s nicht gespeichert werden."),
			fault.PortInUse:              about("Ein anderes Programm belegt den Port, auf dem %s antworten muss."),
		},

		NeedsReconnect:    about("%s muss neu verbunden werden"),
		NotRenewed:        about("%s kann nicht erneuert werden"),
		NotSaved:          about("%s konnte nicht gespeichert werden"),
		SignIn:            func(whose, day string) string { return whose + " verlangt am " + day + " eine neue Anmeldung" },
		Day:               "2.1.",
		ManyNeedReconnect: counted("%d Konten müssen neu verbunden werden"),
		ManyNotRenewed:    counted("%d Verbindungen können nicht erneuert werden"),
		ManyNotSaved:      counted("%d Verbindungen konnten nicht gespeichert werden"),
		ManySignIn:        counted("%d Verbindungen verlangen bald eine neue Anmeldung"),
		Two:               func(one, other string) string { return one + " und " + other + "." },
		Several: func(one, other string, more int) string {
			return fmt.Sprintf("%s, %s und %d weitere.", one, other, more)
		},

		WaitsFor:      about("%s wartet bereits im Browser auf Sie"),
		NoBrowserFor:  about("%s wartet, aber es hat sich kein Browser geöffnet"),
		LinkNotCopied: "Der Link konnte nicht kopiert werden",
		NoClipboard: about("Hier gibt es kein Programm für die Zwischenablage (wl-copy, xclip oder xsel). " +
			"Brechen Sie ab und lassen Sie sich den Link auf der Befehlszeile ausgeben: keyturn connect %s --no-browser"),
		NotDisconnected:        about("%s wurde nicht getrennt"),
		DisconnectedHere:       about("%s ist hier getrennt"),
		RevokingLater:          about("Die Freigabe ist noch nicht widerrufen, weil %s gerade nicht erreichbar ist. Keyturn versucht es weiter und zeigt sie an, bis das erledigt ist."),
		RevocationNotConfirmed: about("%s hat den Widerruf der Freigabe nicht bestätigt. Sie können sie dort in Ihrem Konto widerrufen."),
	},
}
