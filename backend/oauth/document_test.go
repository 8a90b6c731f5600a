package oauth_test

import (
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
)

func TestADocumentIsFetchedAsItIsNamed(t *testing.T) {
	r := newRig(t, evilas.Config{})
	text := evilas.Step{Status: 200, Header: map[string]string{"Content-Type": "text/plain"}, Body: "id: forge\n"}
	r.as.Script("/forge.yaml", text)
	got, err := r.http.Document(t.Context(), r.as.URL()+"/forge.yaml", 1<<10)
	if err != nil || string(got) != "id: forge\n" {
		t.Fatalf("%q %v", got, err)
	}
	for name, c := range map[string]struct {
		step evilas.Step
		code fault.Code
		says string
	}{
		"long":      {evilas.Step{Status: 200, Body: strings.Repeat("x", 2000)}, fault.BadRequest, "too long"},
		"elsewhere": {evilas.Step{Status: 302, RedirectTo: "https://evil.example/x"}, fault.BadRequest, "another address"},
		"missing":   {evilas.Step{Status: 404}, fault.NotFound, "no file"},
	} {
		r.as.Script("/forge.yaml", c.step)
		_, err := r.http.Document(t.Context(), r.as.URL()+"/forge.yaml", 1<<10)
		if fault.CodeOf(err) != c.code || !strings.Contains(fault.MessageOf(err), c.says) {
			t.Errorf("%s: %s %v", name, fault.CodeOf(err), err)
		}
	}
	for _, address := range []string{"http://forge.example/f.yaml", "file:///etc/passwd", "https://u:p@forge.example/f", "https://forge.example/$(id)`"} {
		if _, err := r.http.Document(t.Context(), address, 1<<10); fault.CodeOf(err) != fault.BadRequest {
			t.Errorf("%s: %v", address, err)
		}
	}
}
