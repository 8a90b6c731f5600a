package main

import (
	"strings"
	"testing"
)

func TestAClientFileIsRead(t *testing.T) {
	secret := "GOCSPX-" + strings.Repeat("x", 28)
	for name, c := range map[string]struct {
		document, id string
		web          bool
	}{
		"installed": {`{"installed":{"client_id":"1.apps.googleusercontent.com","project_id":"p","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token","client_secret":"` + secret + `","redirect_uris":["http://localhost"]}}`, "1.apps.googleusercontent.com", false},
		"web":       {`{"web":{"client_id":"2","client_secret":"` + secret + `"}}`, "2", true},
		"account":   {`{"type":"service_account","client_email":"a@b"}`, "", false},
		"nothing":   {`{}`, "", false},
		"no JSON":   {secret, "", false},
		"a list":    {`[1]`, "", false},
	} {
		in, web, err := fromClientFile(c.document)
		if c.id == "" {
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || in.ClientID != c.id || in.ClientSecret != secret || web != c.web {
			t.Errorf("%s: %+v %v %v", name, in, web, err)
		}
	}
}
