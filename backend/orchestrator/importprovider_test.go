package orchestrator_test

import (
	"slices"
	"strings"
	"testing"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
)

const forgeFile = `id: forge
name: Forge
authorize:
  url: https://forge.example/oauth/authorize
token:
  url: https://forge.example/oauth/token
api:
  hosts: [api.forge.example]
`

func TestAProviderFileIsShownBeforeItIsKept(t *testing.T) { // CF-07
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		i, err := w.PreviewProvider(forgeFile)
		if err != nil || i.Approve != "https://forge.example" || i.Replaces || len(i.Warnings) != 0 {
			t.Fatalf("%+v %v", i, err)
		}
		if want := []string{"https://forge.example", "https://api.forge.example"}; !slices.Equal(i.SendsTo, want) {
			t.Errorf("sends to %v", i.SendsTo)
		}
		if _, err := w.Provider("forge"); fault.CodeOf(err) != fault.UnknownProvider {
			t.Errorf("a preview changed something: %v", err)
		}
		p, err := w.ImportProvider(t.Context(), i.Document)
		if err != nil || !p.Custom || p.ID != "forge" {
			t.Fatalf("%+v %v", p, err)
		}
		if i, err := w.PreviewProvider(forgeFile); err != nil || !i.Replaces {
			t.Errorf("%+v %v", i, err)
		}

		// An approval at one owner whose code goes to another (DI-08) is said aloud.
		foreign := strings.Replace(forgeFile, "https://forge.example/oauth/token", "https://evil.example/token", 1)
		if i, err := w.PreviewProvider(foreign); err != nil || len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], "evil.example") {
			t.Errorf("%+v %v", i, err)
		}
		for name, c := range map[string]struct {
			document string
			code     fault.Code
		}{
			"CF-04 a built-in":           {strings.Replace(forgeFile, "id: forge", "id: github", 1), fault.Conflict},
			"CF-02 an unknown field":     {forgeFile + "trusted: yes\n", fault.BadRequest},
			"a server inside Keyturn":    {forgeFile + "hosted_by: demo\n", fault.BadRequest},
			"a variable without a value": {forgeFile + "vars: {team: {says: your team}}\nissuer: https://{team}.example\n", fault.BadRequest},
			"no YAML":                    {"<html>", fault.BadRequest},
			"http to somewhere":          {strings.Replace(forgeFile, "https://forge.example/oauth/token", "http://forge.example/t", 1), fault.BadRequest},
			"nothing":                    {"", fault.BadRequest},
		} {
			if _, err := w.ImportProvider(t.Context(), c.document); fault.CodeOf(err) != c.code {
				t.Errorf("%s: %s %v", name, fault.CodeOf(err), err)
			}
		}
	})
}
