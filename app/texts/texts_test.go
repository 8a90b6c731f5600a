package texts

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"keyturn/backend/config"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// Every language says everything: a field that is forgotten is a word that is
// missing from the tray, or a click that ends the program.
func TestEveryLanguageIsComplete(t *testing.T) {
	for name, language := range languages {
		complete(t, name, reflect.ValueOf(*language))
		for code := range english.Notices.Why {
			if language.Notices.Why[code] == nil {
				t.Errorf("%s has no sentence for %s", name, code)
			}
		}
	}
}

func complete(t *testing.T, path string, v reflect.Value) {
	for i := range v.NumField() {
		name := path + "." + v.Type().Field(i).Name
		switch field := v.Field(i); {
		case field.Kind() == reflect.Pointer && path == "en":
			// Health: the core's own words.
		case field.IsZero():
			t.Errorf("%s is missing", name)
		case field.Kind() == reflect.Pointer:
			complete(t, name, field.Elem())
		case field.Kind() == reflect.Struct:
			complete(t, name, field)
		}
	}
}

func TestTheEnvironmentSaysWhichLanguage(t *testing.T) {
	other := *english
	languages["xx"] = &other
	t.Cleanup(func() { delete(languages, "xx") })
	for _, c := range []struct {
		env  map[string]string
		want *Texts
	}{
		{nil, english},
		{map[string]string{"LANG": "C.UTF-8"}, english},
		{map[string]string{"LANG": "de_AT.UTF-8"}, german},
		{map[string]string{"LANG": "xx_YY.UTF-8"}, &other},
		{map[string]string{"LANG": "xx"}, &other},
		{map[string]string{"LANG": "xx.UTF-8@euro"}, &other},
		{map[string]string{"LANG": "xx_YY", "LC_MESSAGES": "en_GB"}, english},
		{map[string]string{"LANG": "en_GB", "LC_ALL": "xx_YY", "LC_MESSAGES": "en_GB"}, &other},
	} {
		if got := of(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v", c.env)
		}
	}
}

func TestTheUserSaysWhichLanguage(t *testing.T) {
	t.Cleanup(func() { Speak("") })
	for _, language := range config.Languages {
		if Speak(language); Here() != languages[language] {
			t.Errorf("%s is not spoken", language)
		}
	}
	if len(languages) != len(config.Languages) {
		t.Errorf("%d languages, of which %v can be chosen", len(languages), config.Languages)
	}
}

func TestHowAConnectionIs(t *testing.T) {
	now := time.Date(2026, 3, 2, 14, 0, 0, 0, time.Local)
	c := orchestrator.Connection{ProviderName: "GitHub", Status: orchestrator.Retrying, Reason: fault.ProviderUnavailable,
		Since: now.Add(-24 * time.Hour), NextTry: now.Add(5 * time.Minute), Health: "as the core says it"}
	if got := english.How(c, now); got != "as the core says it" {
		t.Errorf("%q", got)
	}
	if got := german.How(c, now); got != "wird seit 1.3. 14:00 erneut versucht, nächster Versuch 14:05: GitHub ist nicht erreichbar oder gestört" {
		t.Errorf("%q", got)
	}
	for _, c := range []orchestrator.Connection{
		{Status: orchestrator.Connected}, {Status: orchestrator.Connected, Unsaved: true},
		{Status: orchestrator.Revoking}, {Status: orchestrator.NeedsReconnect, Reason: fault.Internal},
	} {
		if got := german.How(c, now); got == "" || strings.Contains(got, "%!") {
			t.Errorf("%v: %q", c.Status, got)
		}
	}
}

func TestWordsAreFilledIn(t *testing.T) {
	n := english.Notices
	for got, want := range map[string]string{
		n.Connected("GitHub", "octocat"):      "GitHub connected as octocat",
		n.Connected("GitHub", ""):             "GitHub connected",
		n.Why[fault.Expired]("GitHub"):        "Nobody answered in time. You can start again whenever you like.",
		n.Why[fault.Denied]("100% GitHub"):    "Access was denied at 100% GitHub. Nothing was stored.",
		english.Mood.Unreadable("Disk full."): "not able to read its store. Disk full.",
		english.Menu.MoreConnections(85):      "85 more…",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
