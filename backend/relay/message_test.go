package relay_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/backend/relay"
)

func TestOnlyTheGatewaysMessagesAreTaken(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	genuine := r.seal(t, a, r.delivery(t, a, "github", "code"))
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	dropped := func(t *testing.T, frame []byte) {
		t.Helper()
		if answer := r.Receive(frame); answer != nil || isHeld(a) {
			t.Errorf("answered with %d bytes, held %v", len(answer), isHeld(a))
		}
	}
	count := func() uint64 { s := r.Status(); return s.Forged + s.Malformed }

	t.Run("GW-05 a flipped bit anywhere", func(t *testing.T) {
		before := count()
		for i := range genuine {
			frame := slices.Clone(genuine)
			frame[i] ^= 1 << (i % 8)
			dropped(t, frame)
		}
		if n := count() - before; n != uint64(len(genuine)) {
			t.Errorf("%d of %d were counted", n, len(genuine))
		}
	})
	t.Run("GW-05 truncated, or longer", func(t *testing.T) {
		for n := range genuine {
			dropped(t, genuine[:n])
		}
		dropped(t, append(slices.Clone(genuine), 0))
	})
	t.Run("GW-05 another key, with and without the gateway's key id", func(t *testing.T) {
		frame, err := r.delivery(t, a, "github", "code").Seal(route(t, a), stranger)
		if err != nil {
			t.Fatal(err)
		}
		before := r.Status().Forged
		dropped(t, frame)
		copy(frame[2:10], genuine[2:10])
		dropped(t, relay.Sign(frame, r.enrolment.ID, stranger))
		if n := r.Status().Forged - before; n != 2 {
			t.Errorf("%d of 2 were counted as forged", n)
		}
	})
	t.Run("GW-05 no signature", func(t *testing.T) {
		frame := slices.Clone(genuine)
		clear(frame[len(frame)-ed25519.SignatureSize:])
		dropped(t, frame)
	})
	t.Run("GW-13 another version or kind, though signed", func(t *testing.T) {
		for i, value := range []byte{2, 'A'} {
			frame := slices.Clone(genuine)
			frame[i] = value
			dropped(t, relay.Sign(frame, r.enrolment.ID, r.gateway))
		}
	})
	t.Run("GW-13 10 MiB", func(t *testing.T) {
		dropped(t, make([]byte, 10<<20))
		frame := append(slices.Clone(genuine), make([]byte, relay.MaxMessage)...)
		dropped(t, relay.Sign(frame, r.enrolment.ID, r.gateway))
	})
	t.Run("GW-23 a message for another app of the same gateway", func(t *testing.T) {
		dropped(t, relay.Sign(slices.Clone(genuine), newRig(t).enrolment.ID, r.gateway))
	})
	r.worksStill(t, a)
}

func TestWhatTheGatewayMaySignIsStillChecked(t *testing.T) {
	for _, tt := range []struct {
		name string
		bend func(d *relay.Delivery, state string)
		want relay.Verdict
	}{
		{"GW-08 ten minutes old", func(d *relay.Delivery, _ string) { d.Time = d.Time.Add(-10 * time.Minute) }, relay.Clock},
		{"GW-08 ten minutes ahead", func(d *relay.Delivery, _ string) { d.Time = d.Time.Add(10 * time.Minute) }, relay.Clock},
		{"GW-08 a time at the end of time", func(d *relay.Delivery, _ string) { d.Time = time.UnixMilli(1<<63 - 1) }, relay.Clock},
		{"GW-08 a time before all time", func(d *relay.Delivery, _ string) { d.Time = time.UnixMilli(-1 << 63) }, relay.Clock},
		{"GW-07 a flow that nobody knows", func(d *relay.Delivery, _ string) { d.Flow[0] ^= 1 }, relay.Unknown},
		{"GW-13 code and error", func(d *relay.Delivery, _ string) { d.Query += "&error=access_denied" }, relay.Refused},
		{"GW-13 neither code nor error", func(d *relay.Delivery, s string) { d.Query = "state=" + s }, relay.Refused},
		{"GW-13 two states", func(d *relay.Delivery, s string) { d.Query += "&state=" + s }, relay.Refused},
		{"GW-13 two codes", func(d *relay.Delivery, _ string) { d.Query += "&code=other" }, relay.Refused},
		{"GW-13 no state", func(d *relay.Delivery, _ string) { d.Query = "code=x" }, relay.Refused},
		{"GW-13 bad encoding", func(d *relay.Delivery, _ string) { d.Query += "&x=%zz" }, relay.Refused},
		{"GW-13 an empty query", func(d *relay.Delivery, _ string) { d.Query = "" }, relay.Refused},
		{"GW-02 a response that spares the user the code", func(d *relay.Delivery, _ string) { d.Code = "" }, relay.Refused},
		{"an error that asks for a code", func(d *relay.Delivery, s string) {
			d.Query = url.Values{"state": {s}, "error": {"access_denied"}}.Encode()
		}, relay.Refused},
		{"a code of another length", func(d *relay.Delivery, _ string) { d.Code = "0" }, relay.Refused},
		{"another provider", func(d *relay.Delivery, _ string) { d.Provider = "evil" }, relay.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			a := r.expect(t, "github")
			d := r.delivery(t, a, "github", "code")
			tt.bend(&d, a.State())
			if v := r.deliver(t, a, d); v != tt.want || isHeld(a) {
				t.Errorf("verdict %v, want %v; held %v", v, tt.want, isHeld(a))
			}
			if _, out := got(a); out {
				t.Error("a response was given out")
			}
			r.worksStill(t, a)
		})
	}
}

func TestAClockThatIsALittleOffIsNoMatter(t *testing.T) {
	for _, off := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		r := newRig(t)
		a := r.expect(t, "github")
		d := r.delivery(t, a, "github", "code")
		d.Time = d.Time.Add(off)
		if v := r.deliver(t, a, d); v != relay.Accepted {
			t.Errorf("%v off: %v", off, v)
		}
		if skew := r.Status().Skew; (skew - off).Abs() > time.Minute {
			t.Errorf("%v off: the skew is said to be %v", off, skew)
		}
	}
}

func TestASealOpensForItsOwnAttemptOnly(t *testing.T) {
	r := newRig(t)
	a, b := r.expect(t, "github"), r.expect(t, "github")
	t.Run("GW-10 the message of one attempt in the frame of another", func(t *testing.T) {
		frame := r.seal(t, a, r.delivery(t, a, "github", "code"))
		other := r.delivery(t, b, "github", "code")
		copy(frame[34:66], other.Flow[:]) // flow, additional data of the seal
		answer := r.Receive(relay.Sign(frame, r.enrolment.ID, r.gateway))
		v, err := relay.ParseAnswer(answer, relay.MessageID(frame[10:26]), r.enrolment.ID)
		if err != nil || v != relay.Refused || isHeld(a) || isHeld(b) {
			t.Errorf("%v %v", v, err)
		}
	})
	t.Run("GW-10 the parameters of one attempt sealed to another", func(t *testing.T) {
		d := r.delivery(t, b, "github", "code")
		d.Query = url.Values{"state": {a.State()}, "code": {"code"}}.Encode()
		if v := r.deliver(t, b, d); v != relay.Refused || isHeld(b) {
			t.Errorf("%v", v)
		}
	})
	r.worksStill(t, a)
	r.worksStill(t, b)
}

func TestNothingReadableTravels(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	d := r.delivery(t, a, "github", "a-very-secret-code")
	frame := r.seal(t, a, d)
	for _, secret := range []string{"a-very-secret-code", d.Code, a.State(), "github"} {
		if bytes.Contains(frame, []byte(secret)) {
			t.Errorf("%q can be read", secret)
		}
	}
	longer := r.seal(t, a, r.delivery(t, a, "github", strings.Repeat("x", 40)))
	if len(frame) != len(longer) {
		t.Errorf("the length of a code shows: %d and %d bytes", len(frame), len(longer))
	}
}

func TestAnAnswerCountsWhenTheAppSignedItForThisMessage(t *testing.T) {
	r := newRig(t)
	id := relay.MessageID{1, 2, 3}
	genuine := relay.AnswerWith(id, relay.Accepted, r.app)
	if v, err := relay.ParseAnswer(genuine, id, r.enrolment.ID); err != nil || v != relay.Accepted {
		t.Fatalf("%v %v", v, err)
	}
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	bad := map[string][]byte{
		"of a stranger":         relay.AnswerWith(id, relay.Accepted, stranger),
		"to another message":    relay.AnswerWith(relay.MessageID{9}, relay.Accepted, r.app),
		"with another verdict":  relay.AnswerWith(id, 77, r.app),
		"with no verdict":       relay.AnswerWith(id, 0, r.app),
		"that is empty":         nil,
		"that is too long":      append(slices.Clone(genuine), 0),
		"with a changed answer": append(append(slices.Clone(genuine[:18]), byte(relay.Unknown)), genuine[19:]...),
	}
	for i := range genuine {
		flipped := slices.Clone(genuine)
		flipped[i] ^= 1
		bad["flipped at "+string(rune('0'+i))] = flipped
	}
	for name, frame := range bad {
		if v, err := relay.ParseAnswer(frame, id, r.enrolment.ID); err == nil {
			t.Errorf("GW-05 an answer %s counts as %v", name, v)
		}
	}
	if _, err := relay.ParseAnswer(genuine, id, "no key"); err == nil {
		t.Error("an answer of an app that is none counts")
	}
}

func FuzzMessage(f *testing.F) {
	r := newRig(f)
	a := r.expect(f, "github")
	d := r.delivery(f, a, "github", "code")
	genuine := r.seal(f, a, d)
	f.Add(genuine, false)
	f.Add(genuine, true)
	f.Add(relay.AnswerWith(d.ID, relay.Accepted, r.app), false)
	f.Add([]byte{1, 'D'}, true)
	f.Fuzz(func(t *testing.T, frame []byte, sign bool) {
		if bytes.Equal(frame, genuine) {
			return // the one message that may do something
		}
		if sign && len(frame) >= ed25519.SignatureSize { // also what comes after the signature must stand it
			frame = relay.Sign(slices.Clone(frame), r.enrolment.ID, r.gateway)
		}
		answer := r.Receive(frame)
		if answer != nil && !sign {
			t.Error("an unsigned message was answered")
		}
		if answer != nil && len(frame) >= 26 {
			if v, err := relay.ParseAnswer(answer, relay.MessageID(frame[10:26]), r.enrolment.ID); err != nil || v == relay.Accepted && !bytes.Contains(frame, genuine[34:len(genuine)-64]) {
				t.Errorf("%v %v", v, err)
			}
		}
		if _, err := relay.ParseAnswer(frame, d.ID, r.enrolment.ID); err == nil && !bytes.Equal(frame, relay.AnswerWith(d.ID, relay.Accepted, r.app)) {
			t.Error("a made-up answer counts")
		}
		if _, out := got(a); out {
			t.Error("a response was given out")
		}
	})
}

func FuzzState(f *testing.F) {
	r := newRig(f)
	state := r.expect(f, "github").State()
	f.Add(state)
	f.Add("r.a.b.c")
	f.Add(strings.Replace(state, ".", ".\n", 1))
	f.Fuzz(func(t *testing.T, s string) {
		to, err := relay.ParseState(s)
		if err == nil && (!relay.IsState(s) || len(s) != len(state) || strings.ContainsAny(to.App, ".*> \r\n\t")) {
			t.Errorf("%q is a state of the app %q", s, to.App)
		}
		if err == nil && s != state && to.App == r.enrolment.ID && to.Genuine(make([]byte, 32), "github") {
			t.Errorf("%q is genuine", s)
		}
	})
}
