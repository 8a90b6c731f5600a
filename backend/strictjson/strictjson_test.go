package strictjson_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/backend/strictjson"
)

func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{`{}`, true},
		{`{"a":1,"b":{"a":2}}`, true},
		{` [1, "x", null, true, {"k":"}{"}] `, true},
		{`null`, true},
		{deep(strictjson.MaxDepth), true},
		{deep(strictjson.MaxDepth + 1), false},
		{`{"a":1,"a":2}`, false},
		{`{"a":1,"\u0061":2}`, false},
		{`[{"x":{"a":1,"a":1}}]`, false},
		{`{} {}`, false},
		{`{}}`, false},
		{`{"a":1`, false},
		{``, false},
		{"\ufeff{}", false},
		{"{\"a\":\"\xff\"}", false},
		{"{\"a\":1}\x00", false},
	} {
		if err := strictjson.Check([]byte(tt.in)); (err == nil) != tt.ok {
			t.Errorf("%q: %v, want ok=%v", tt.in, err, tt.ok)
		}
	}
}

func TestObjectKeepsTheCaseOfKeys(t *testing.T) {
	m, err := strictjson.Object([]byte(`{"Issuer":"a","issuer":"b","iſſuer":"c"}`))
	if err != nil || len(m) != 3 || string(m["issuer"]) != `"b"` {
		t.Errorf("%v %v", m, err)
	}
	for _, in := range []string{`null`, `[]`, `"x"`, `1`} {
		if _, err := strictjson.Object([]byte(in)); err == nil {
			t.Errorf("%s taken for an object", in)
		}
	}
}

func TestHostileNestingIsCheap(t *testing.T) {
	start := time.Now()
	if strictjson.Check([]byte(strings.Repeat("[", 1<<20))) == nil {
		t.Fatal("accepted")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}
