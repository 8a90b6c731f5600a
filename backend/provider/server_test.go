package provider_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// fill gives every field of a struct a value of its own.
func fill(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.String:
		v.SetString(path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Int64:
		v.SetInt(int64(time.Hour))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path+"[0]")
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.Struct {
			return // filled in before there is a server
		}
		v.Set(reflect.ValueOf(map[string]string{path: path}))
	default:
		panic("fill: " + v.Kind().String())
	}
}

// empty lists the fields of a struct that have no value.
func empty(v reflect.Value, path string) (list []string) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			list = append(list, empty(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return list
	}
	if v.IsZero() {
		return []string{path}
	}
	return nil
}

func TestServerCarriesEveryFieldOfTheWire(t *testing.T) {
	var p provider.Provider
	fill(reflect.ValueOf(&p).Elem(), "p")
	p.Token.Body, p.Revoke.Body, p.Refresh.With = "json", "json", "access_token"
	if missing := empty(reflect.ValueOf(p.Server()), "Server"); len(missing) > 0 {
		t.Errorf("not carried over: %v", missing)
	}
}

func TestAuthFor(t *testing.T) {
	none, secret := oauth.Secret{}, oauth.NewSecret("s3cret")
	for _, c := range []struct {
		auth   []string
		secret oauth.Secret
		want   oauth.AuthMethod
		code   fault.Code
	}{
		{nil, none, oauth.AuthNone, ""},
		{nil, secret, oauth.AuthPost, ""},
		{[]string{"none", "basic"}, none, oauth.AuthNone, ""},
		{[]string{"none", "basic"}, secret, oauth.AuthBasic, ""},
		{[]string{"basic", "post"}, secret, oauth.AuthBasic, ""},
		{[]string{"basic", "post"}, none, "", fault.ClientSecretRequired},
		{[]string{"post"}, secret, oauth.AuthPost, ""},
		{[]string{"none"}, secret, oauth.AuthNone, ""},
	} {
		p := provider.Provider{Name: "Forge", Client: provider.Client{Auth: c.auth}}
		got, err := p.AuthFor(c.secret)
		if got != c.want || fault.CodeOf(err) != c.code {
			t.Errorf("%v, secret %v: %q %v", c.auth, !c.secret.IsZero(), got, err)
		}
		if p.NeedsSecret() != (len(c.auth) > 0 && !slices.Contains(c.auth, "none")) {
			t.Errorf("%v: NeedsSecret is %v", c.auth, p.NeedsSecret())
		}
	}
}

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		redirect   provider.Redirect
		rule       oauth.RedirectRule
		uri        string
		transports string
	}{
		{provider.Redirect{}, oauth.RedirectRule{}, "http://127.0.0.1/oauth/callback/forge", "[loopback gateway paste]"},
		{provider.Redirect{Rule: "any_port", Host: "localhost"}, oauth.RedirectRule{Localhost: true}, "http://localhost/oauth/callback/forge", "[loopback gateway paste]"},
		{provider.Redirect{Rule: "fixed_port"}, oauth.RedirectRule{Port: 27419}, "http://127.0.0.1:27419/oauth/callback/forge", "[loopback gateway paste]"},
		{provider.Redirect{Rule: "fixed_port", Port: 4000, Host: "localhost"}, oauth.RedirectRule{Port: 4000, Localhost: true}, "http://localhost:4000/oauth/callback/forge", "[loopback gateway paste]"},
		{provider.Redirect{Rule: "https"}, oauth.RedirectRule{Port: 27418, Localhost: true, HTTPS: true}, "https://localhost:27418/oauth/callback/forge", "[gateway loopback paste]"},
	} {
		p := provider.Provider{ID: "forge", Redirect: c.redirect}
		if got := p.RedirectRule(27419); got != c.rule {
			t.Errorf("%+v: rule %+v", c.redirect, got)
		}
		if got := p.RedirectURI(27419, ""); got != c.uri {
			t.Errorf("%+v: %s", c.redirect, got)
		}
		if got := fmt.Sprint(p.Transports()); got != c.transports {
			t.Errorf("%+v: %s", c.redirect, got)
		}
	}
}

func TestGrantedAddsWhatIsNeverListed(t *testing.T) {
	p := lookup(t, "microsoft")
	asked := []string{"offline_access", "User.Read"}
	if got := p.Granted(asked, []string{"User.Read"}); !slices.Equal(got, []string{"User.Read", "offline_access"}) {
		t.Errorf("%v", got)
	}
	if got := p.Granted([]string{"User.Read"}, []string{"User.Read"}); !slices.Equal(got, []string{"User.Read"}) {
		t.Errorf("nobody asked for it: %v", got)
	}
	if got := p.Granted(asked, nil); got != nil {
		t.Errorf("an answer that does not say became %v", got)
	}
}
