package api_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../fault/fault.go", nil, 0)
	must(t, err)
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		typ, ok := spec.Type.(*ast.Ident)
		if !ok || typ.Name != "Code" {
			return true
		}
		codes++
		code, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if _, ok := api.StatusOf[fault.Code(code)]; !ok {
			t.Errorf("%s has no HTTP status", code)
		}
		return true
	})
	if codes != len(api.StatusOf) {
		t.Errorf("%d codes, %d statuses", codes, len(api.StatusOf))
	}
}

func TestTheProvidersWordAboutWaitingGoesFirst(t *testing.T) {
	said := fault.Wrap(&oauth.Error{RetryAfter: 90*time.Second + 1}, fault.RateLimited, "Acme asks to slow down.")
	status, header := api.ProblemOf(fmt.Errorf("refresh: %w", said))
	if status != 429 || header.Get("Retry-After") != "91" {
		t.Errorf("%d, Retry-After %q", status, header.Get("Retry-After"))
	}
}

func TestWhatIsOurOwnFaultStaysInTheLog(t *testing.T) {
	w := newWorld(t, setup{saveSettings: func(wire.Settings) error {
		return fmt.Errorf("save settings: %w", errors.New("open /home/ada/canary: no such file"))
	}})
	r := httptest.NewRequest("POST", "/v1/settings", strings.NewReader(`{"callback_port":28000,"notifications":true}`))
	r.Header.Set("Content-Type", "application/json")
	status, problem := refused(t, w, api.Window, r)
	if status != 500 || problem.Code != "internal" {
		t.Errorf("%d %+v", status, problem)
	}
	mustNotHold(t, "the answer", problem.Detail, "canary")
	if !strings.Contains(w.log.String(), "canary") || !strings.Contains(w.log.String(), "saveSettings") {
		t.Errorf("the log does not say what happened:\n%s", w.log)
	}
}
