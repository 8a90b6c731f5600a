package provider

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// Var is a part of an entry that differs from user to user: a subdomain, a
// region, the address of a server of one's own. The entry names it in braces,
// as in https://{subdomain}.example.com.
type Var struct {
	Says string `yaml:"says" json:"says"` // what it is, as a noun: "your subdomain"
	// Is says what may stand in its place: "label" (default: one word of a host
	// name or path), "host" (a host name) or "base" (an https address without
	// query).
	Is      string   `yaml:"is,omitempty" json:"is,omitempty"`
	Default string   `yaml:"default,omitempty" json:"default,omitempty"`
	OneOf   []string `yaml:"one_of,omitempty" json:"one_of,omitempty"`
}

// The alphabets leave nothing that could end the place a value stands in.
var (
	varName    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	varLabel   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$`)
	varHost    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[1-9][0-9]{0,4})?$`)
	varBase    = regexp.MustCompile(`^https?://[a-z0-9][a-z0-9.-]*(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*$`)
	ownVars    = []string{"account", "token", "client_id", "client_secret"} // filled in elsewhere
	varSamples = map[string]string{"": "example", "label": "example", "host": "example.com", "base": "https://example.com"}
)

// fits reports whether a value can stand for v.
func (v Var) fits(value string, loopbackHTTP bool) bool {
	if len(v.OneOf) > 0 {
		return slices.Contains(v.OneOf, value)
	}
	switch v.Is {
	case "host":
		return varHost.MatchString(value) && !strings.Contains(value, "..") && oauth.ValidEndpoint("https://"+value, false) == nil
	case "base":
		return varBase.MatchString(value) && !strings.Contains(value, "..") && oauth.ValidEndpoint(value, loopbackHTTP) == nil
	}
	return varLabel.MatchString(value) && !strings.Contains(value, "..")
}

// Unfilled lists the variables that have no value, by name.
func (p Provider) Unfilled() []string {
	var names []string
	for _, name := range sorted(p.Vars) {
		if p.Vars[name].Default == "" {
			names = append(names, name)
		}
	}
	return names
}

// ErrUnfilled says what is missing before p can be connected; nil when nothing
// is.
func (p Provider) ErrUnfilled() error {
	missing := p.Unfilled()
	if len(missing) == 0 {
		return nil
	}
	var says, flags []string
	for _, name := range missing {
		says = append(says, p.Vars[name].Says)
		flags = append(flags, "--var "+name+"=…")
	}
	return fault.New(fault.BadRequest, "%s needs to know %s. Add yours with: keyturn providers register --extends %s %s",
		p.Name, strings.Join(says, " and "), p.ID, strings.Join(flags, " "))
}

// With returns p with its variables filled in: those that are given, the
// others by their defaults. One that is still missing stays as it is.
func (p Provider) With(values map[string]string, loopbackHTTP bool) (Provider, error) {
	for _, name := range sorted(values) {
		v, known := p.Vars[name]
		switch {
		case !known && len(p.Vars) == 0:
			return Provider{}, fault.New(fault.BadRequest, "%s has no variables to set.", p.Name)
		case !known:
			return Provider{}, fault.New(fault.BadRequest, "%s has no variable %s. It has: %s.", p.Name, text.Clean(name, 40), strings.Join(sorted(p.Vars), ", "))
		case !v.fits(values[name], loopbackHTTP) && len(v.OneOf) > 0:
			return Provider{}, fault.New(fault.BadRequest, "%s is %s: one of %s.", name, v.Says, strings.Join(v.OneOf, ", "))
		case !v.fits(values[name], loopbackHTTP):
			return Provider{}, fault.New(fault.BadRequest, "%s is %s: %s.", name, v.Says, map[string]string{
				"": "letters, digits and hyphens", "label": "letters, digits and hyphens", "host": "a host name such as id.example.com, in small letters", "base": "an address such as https://id.example.com, without a slash at the end",
			}[v.Is])
		}
	}
	var pairs, typed []string
	left := map[string]Var{}
	for name, v := range p.Vars {
		value, given := values[name]
		if !given {
			value = v.Default
		}
		if value == "" {
			left[name] = v
			continue
		}
		pairs = append(pairs, "{"+name+"}", value)
		if host := hostOfVar(v, value); given && host != "" {
			typed = append(typed, host)
		}
	}
	p.Vars = nil
	// What fits holds nothing that JSON or a URL would read in another way.
	document, err := json.Marshal(p)
	if err != nil {
		return Provider{}, err
	}
	var filled Provider
	if err := json.Unmarshal([]byte(strings.NewReplacer(pairs...).Replace(string(document))), &filled); err != nil {
		return Provider{}, err
	}
	if len(filled.API.Hosts) == 0 { // one server for all, wherever it is
		if u, err := url.Parse(filled.Token.URL); err == nil && u.Host != "" && !strings.Contains(u.Host, "{") {
			filled.API.Hosts = []string{u.Host}
		}
	}
	filled.Custom = p.Custom
	if len(left) > 0 {
		filled.Vars = left
	}
	if len(typed) > 0 {
		slices.Sort(typed)
		filled.TrustedHosts = append(slices.Clone(p.TrustedHosts), typed...)
	}
	return filled, nil
}

// hostOfVar is the host that a user named by a value, "" where it is but a part
// of one.
func hostOfVar(v Var, value string) string {
	switch v.Is {
	case "host":
		host, _, _ := strings.Cut(value, ":")
		return host
	case "base":
		if u, err := url.Parse(value); err == nil {
			return u.Hostname()
		}
	}
	return ""
}

// sample returns p with something in the place of each variable, to be checked
// as any other entry is.
func (p Provider) sample() (Provider, error) {
	values := map[string]string{}
	for name, v := range p.Vars {
		switch {
		case v.Default != "":
		case len(v.OneOf) > 0:
			values[name] = v.OneOf[0]
		default:
			values[name] = varSamples[v.Is]
		}
	}
	return p.With(values, false)
}

// checkVars checks the variables themselves.
func (p Provider) checkVars(c *check) {
	c.that(len(p.Vars) <= 8, "vars", "has more than 8 entries")
	document, _ := json.Marshal(p)
	for _, name := range sorted(p.Vars) {
		v, field := p.Vars[name], "vars."+name
		c.that(varName.MatchString(name) && !slices.Contains(ownVars, name), field, "is not a name for a variable: small letters, digits and underscores")
		c.text(field+".says", v.Says, 120, true)
		c.oneOf(field+".is", v.Is, "", "label", "host", "base")
		c.that(v.Default == "" || v.fits(v.Default, false), field+".default", "does not fit the variable")
		for i, one := range v.OneOf {
			c.that(varLabel.MatchString(one) || varHost.MatchString(one), fmt.Sprintf("%s.one_of[%d]", field, i), "does not fit the variable")
		}
		c.that(strings.Contains(string(document), "{"+name+"}"), field, "is used nowhere")
	}
}
