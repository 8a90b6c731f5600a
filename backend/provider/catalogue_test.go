package provider_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

func builtin(t *testing.T) *provider.Catalogue {
	t.Helper()
	c, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func lookup(t *testing.T, id string) provider.Provider {
	t.Helper()
	p, ok := builtin(t).Lookup(id)
	if !ok {
		t.Fatalf("no provider %s", id)
	}
	return p
}

var update = flag.Bool("update", false, "make catalogue.tsv anew")

// entries reads the files of the catalogue, those that others extend first.
func entries(t *testing.T) (all []provider.Provider) {
	t.Helper()
	files, err := filepath.Glob("catalogue/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]provider.Provider{}
	base := func(id string) (provider.Provider, bool) {
		document, err := json.Marshal(read[id])
		var p provider.Provider
		if err == nil {
			err = json.Unmarshal(document, &p)
		}
		p.Popular = false
		return p, err == nil && p.ID != "" && p.Extends == ""
	}
	for _, presets := range []bool{false, true} {
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("\nextends: ")) != presets {
				continue
			}
			p, err := provider.ParseWith(filepath.Base(file), data, base)
			if err != nil {
				t.Error(err)
				continue
			}
			if filepath.Base(file) != p.ID+".yaml" {
				t.Errorf("%s holds the provider %s", file, p.ID)
			}
			read[p.ID] = p
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b provider.Provider) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func TestTheIndexIsCurrent(t *testing.T) {
	var want strings.Builder
	for _, p := range entries(t) {
		line, err := provider.IndexLine(p)
		if err != nil {
			t.Fatal(err)
		}
		want.WriteString(line)
	}
	if t.Failed() {
		return
	}
	if *update {
		if err := os.WriteFile("catalogue.tsv", []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("catalogue.tsv"); err != nil || string(got) != want.String() {
		t.Errorf("catalogue.tsv is not what the files say (%v). Make it anew: go test ./backend/provider -run IndexIsCurrent -update", err)
	}
}

func TestTheCatalogueHasAnEntryForEachFile(t *testing.T) {
	entries, err := os.ReadDir("catalogue")
	if err != nil {
		t.Fatal(err)
	}
	all := builtin(t).All()
	if len(all) != len(entries) || len(all) < 11 {
		t.Errorf("%d providers from %d files", len(all), len(entries))
	}
	if !slices.IsSortedFunc(all, func(a, b provider.Provider) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	}) {
		t.Error("All is not sorted by name")
	}
}

func TestEveryBuiltinSaysWhatAUserNeeds(t *testing.T) {
	for _, p := range builtin(t).All() {
		t.Run(p.ID, func(t *testing.T) {
			if p.Custom || p.Category == "" {
				t.Error("custom, or without a category")
			}
			said := map[string]string{}
			for _, s := range p.Scope.Known {
				said[s.Name] = s.Says
			}
			for _, s := range slices.Concat(p.Scope.Default, p.Scope.Unlisted) {
				if said[s] == "" {
					t.Errorf("the scope %s has no sentence", s)
				}
			}
			if p.Identity.URL != "" && p.Identity.ID == "" && p.ID != "demo" {
				t.Error("nobody learns whose account it is")
			}
			if len(p.API.Hosts) == 0 && len(p.Vars) == 0 || len(p.Setup.Steps) == 0 {
				t.Error("no API hosts or no steps")
			}
			if p.ID == "demo" {
				return
			}
			data, err := json.Marshal(p)
			if err != nil || bytes.Contains(data, []byte(`"http://`)) {
				t.Errorf("an address is not https (%v)", err)
			}
			if p.Setup.Console == "" || len(p.Evidence) == 0 || p.Redirect.Note == "" {
				t.Error("no console, no evidence, or no word about the redirect URI")
			}
			for _, e := range p.Evidence {
				if seen, _ := time.Parse(time.DateOnly, e.Seen); seen.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
					t.Errorf("%s was seen on %s", e.URL, e.Seen)
				}
			}
			if p.PKCE == "unverified" && !slices.ContainsFunc(p.Evidence, func(e provider.Evidence) bool { return strings.Contains(e.Unverified, "PKCE") }) {
				t.Error("PKCE is unverified and the evidence does not say so")
			}
		})
	}
}

// A registered redirect URI that is off by a character costs the user an
// evening, so each is written out here.
func TestTheRedirectURIToRegister(t *testing.T) {
	for id, want := range map[string]string{
		"atlassian": "http://localhost:27419/oauth/callback/atlassian",
		"demo":      "http://127.0.0.1/oauth/callback/demo",
		"dropbox":   "http://127.0.0.1:27419/oauth/callback/dropbox",
		"github":    "http://127.0.0.1/oauth/callback/github",
		"gitlab":    "http://127.0.0.1/oauth/callback/gitlab",
		"google":    "http://127.0.0.1/oauth/callback/google",
		"linear":    "http://localhost:27419/oauth/callback/linear",
		"microsoft": "http://localhost/oauth/callback/microsoft",
		"notion":    "http://localhost:27419/oauth/callback/notion",
		"slack":     "http://localhost:27419/oauth/callback/slack",
		"spotify":   "http://127.0.0.1/oauth/callback/spotify",
	} {
		if got := lookup(t, id).RedirectURI(27419, ""); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestAProviderWithoutLoopbackIsToldTheGateway(t *testing.T) {
	p := provider.Provider{ID: "acme", Redirect: provider.Redirect{Rule: "https"}}
	if got := p.RedirectURI(27419, ""); got != "https://localhost:27418/oauth/callback/acme" {
		t.Errorf("without a gateway: %s", got)
	}
	if got, want := p.RedirectURI(27419, "https://gw.example"), "https://gw.example/oauth/callback/acme"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheWarningsThatSaveAnEvening(t *testing.T) {
	for id, words := range map[string][]string{
		"google":    {"7 days"},
		"slack":     {"PKCE", "bot", "30 days"},
		"spotify":   {"localhost", "development mode"},
		"microsoft": {"revoke"},
		"gitlab":    {"of your own"},
	} {
		all := strings.Join(lookup(t, id).Setup.Warnings, " ")
		for _, w := range words {
			if !strings.Contains(all, w) {
				t.Errorf("%s does not warn about %q", id, w)
			}
		}
	}
}

func TestAProviderSurvivesJSON(t *testing.T) {
	list := builtin(t).All()
	list = append(list, custom(t))
	for _, p := range list {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back provider.Provider
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, back) {
			t.Errorf("%s changed:\n%+v\n%+v", p.ID, p, back)
		}
		if err := back.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// custom is a provider of the user's own.
func custom(t *testing.T) provider.Provider {
	t.Helper()
	p, err := provider.FromRegistration(provider.Registration{
		ProviderKey: "forge", DisplayName: "Our Forge", AuthURL: "https://forge.example/authorize", TokenURL: "https://api.forge.example/token",
		Scopes: []string{"read"}, AuthorizeParams: map[string]string{"audience": "api"}, APIHosts: []string{"*.forge.example"}, CallbackPort: 8123,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPutAndDelete(t *testing.T) {
	c := builtin(t)
	forge := custom(t)
	forge.Custom = false // who puts it there need not remember
	if err := c.Put(forge); err != nil {
		t.Fatal(err)
	}
	got, ok := c.Lookup("forge")
	if !ok || !got.Custom || got.Name != "Our Forge" {
		t.Errorf("%v %+v", ok, got)
	}
	if c.Suggest("fogs") != "" || c.Suggest("forg") != "forge" {
		t.Error("the user's own are not suggested, or too easily")
	}
	if err := c.Delete("forge"); err != nil {
		t.Error(err)
	}
	if _, ok := c.Lookup("forge"); ok {
		t.Error("it is still there")
	}
	if err := c.Delete("forge"); fault.CodeOf(err) != fault.UnknownProvider {
		t.Error(err)
	}

	t.Run("CF-04 a built-in is not replaced", func(t *testing.T) {
		evil := forge
		evil.ID = "github"
		if err := c.Put(evil); fault.CodeOf(err) != fault.Conflict {
			t.Error(err)
		}
		if err := c.Delete("github"); fault.CodeOf(err) != fault.Conflict {
			t.Error(err)
		}
		if p, _ := c.Lookup("github"); p.Token.URL != "https://github.com/login/oauth/access_token" {
			t.Errorf("GitHub's tokens come from %s", p.Token.URL)
		}
	})
	t.Run("what was stored is checked again", func(t *testing.T) {
		damaged := forge
		damaged.Token.URL = "http://forge.example/token"
		if err := c.Put(damaged); fault.CodeOf(err) != fault.BadRequest || !strings.Contains(fault.MessageOf(err), "token.url") {
			t.Error(err)
		}
	})
}

func TestSuggest(t *testing.T) {
	c := builtin(t)
	for typed, want := range map[string]string{
		"githb": "github", "gihtub": "github", "GitHub": "github", "gogle": "google", "dmeo": "demo",
		"x": "", "": "", "facebook": "", "spotify": "spotify", strings.Repeat("g", 1000): "",
	} {
		if got := c.Suggest(typed); got != want {
			t.Errorf("%.20q: %q, want %q", typed, got, want)
		}
	}
}

// Starting must stay quick when the catalogue grows to hundreds of entries.
func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		if _, err := provider.Builtin(); err != nil {
			b.Fatal(err)
		}
	}
}
