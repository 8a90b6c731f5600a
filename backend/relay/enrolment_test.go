package relay_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/relay"
)

func TestAnEnrolmentTravelsAsOneLine(t *testing.T) {
	r := newRig(t)
	token := r.enrolment.Token()
	e, err := relay.ParseEnrolment("  " + token + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != r.enrolment.ID || e.Name != "test" || !e.Gateway.Equal(r.enrolment.Gateway) || e.Token() != token {
		t.Errorf("read as %q %q", e.ID, e.Name)
	}
	if strings.ContainsAny(token, " \n\"'$\\") {
		t.Errorf("a shell would not leave %q alone", token)
	}
}

func TestAnEnrolmentThatIsNotOneIsRefusedInWords(t *testing.T) {
	text := func(bend func(map[string]any)) string {
		_, encoded, _ := strings.Cut(newRig(t).enrolment.Token(), ".")
		data, _ := base64.RawURLEncoding.DecodeString(encoded)
		var m map[string]any
		json.Unmarshal(data, &m)
		bend(m)
		data, _ = json.Marshal(m)
		return "keyturn-relay-1." + base64.RawURLEncoding.EncodeToString(data)
	}
	urls := func(u ...string) string { return text(func(m map[string]any) { m["urls"] = u }) }
	if _, err := relay.ParseEnrolment(urls("http://127.0.0.1:1/relay")); err != nil {
		t.Fatalf("the control is refused: %v", err)
	}
	for name, token := range map[string]string{
		"empty":            "",
		"a word":           "hello",
		"another version":  strings.Replace(newRig(t).enrolment.Token(), "relay-1", "relay-2", 1),
		"cut short":        newRig(t).enrolment.Token()[:100],
		"no JSON":          "keyturn-relay-1." + base64.RawURLEncoding.EncodeToString([]byte("x")),
		"a key twice":      "keyturn-relay-1." + base64.RawURLEncoding.EncodeToString([]byte(`{"name":"a","name":"b"}`)),
		"huge":             "keyturn-relay-1." + strings.Repeat("A", 1<<20),
		"no address":       urls(),
		"plain http":       urls("http://gateway.example/relay"),
		"a user in it":     urls("https://me:pw@gateway.example/relay"),
		"a query":          urls("https://gateway.example/relay?x"),
		"not an address":   urls("https://gateway.example/relay", "::"),
		"a short seed":     text(func(m map[string]any) { m["seed"] = []byte("x") }),
		"no gateway key":   text(func(m map[string]any) { delete(m, "gateway") }),
		"no token":         text(func(m map[string]any) { m["jwt"] = "" }),
		"a short route":    text(func(m map[string]any) { m["route"] = []byte("x") }),
		"a name of number": text(func(m map[string]any) { m["name"] = 1 }),
	} {
		if _, err := relay.ParseEnrolment(token); fault.CodeOf(err) != fault.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingPrintsAnEnrolment(t *testing.T) {
	r := newRig(t)
	var b strings.Builder
	fmt.Fprintf(&b, "%v %+v %#v %s %v", r.enrolment, r.enrolment, r.enrolment, r.enrolment, &r.enrolment)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "enrolment", r.enrolment)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "enrolment", r.enrolment)
	if strings.Contains(b.String(), "jwt") || strings.Contains(b.String(), "test") {
		t.Errorf("printed: %s", b.String())
	}
	a := r.expect(t, "github")
	d := r.delivery(t, a, "github", "the-secret-code")
	r.deliver(t, a, d)
	d.Query += "&error=x"
	r.deliver(t, a, d)
	r.Receive([]byte("the-secret-code"))
	for _, secret := range []string{"the-secret-code", d.Code, a.State(), r.enrolment.Token()} {
		if strings.Contains(r.logs.String(), secret) {
			t.Errorf("the log says %q", secret)
		}
	}
	if r.logs.Len() == 0 {
		t.Error("nothing was logged at all")
	}
}
