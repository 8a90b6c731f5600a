package oauth

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestLG05NothingPrintsASecret(t *testing.T) {
	const text = "canary-2b7e151628aed2a6"
	type inner struct {
		Exported Secret
		hidden   Secret
	}
	type outer struct {
		nested  inner
		pointer *inner
		list    []Secret
		byName  map[string]Secret
		any     any
		Token   Token
		client  Client
	}
	s := NewSecret(text)
	in := inner{s, s}
	values := []any{s, &s, in, &in, []Secret{s}, map[Secret]int{s: 1}, Client{Secret: s}, Token{Access: s, Refresh: s, ID: s},
		AuthorizationResponse{Code: s}, AuthorizationRequest{State: s, Verifier: s, Nonce: s},
		outer{nested: in, pointer: &in, list: []Secret{s}, byName: map[string]Secret{"a": s}, any: s, Token: Token{Access: s}, client: Client{Secret: s}}}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	jsonLog := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, _ := json.Marshal(v)
		out.Write(b)
		log.Info("x", "value", v)
		jsonLog.Info("x", "value", v)
		fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", v))
	}
	printed := strings.ToLower(out.String())
	for _, form := range []string{text, hex.EncodeToString([]byte(text)), text[7:]} {
		if strings.Contains(printed, form) {
			t.Errorf("%q was printed", form)
		}
	}
	if fmt.Sprint(s) != "[redacted]" || s.Reveal() != text || !NewSecret("").IsZero() {
		t.Error("a secret is redacted, revealed on demand, and zero when empty")
	}
}
