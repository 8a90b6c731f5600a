package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"keyturn/backend/api"
)

// checked asks a door and holds the answer against the document: its status,
// its content type and every member of its body. It is how all tests here ask.
func checked(t testing.TB, s *api.Server, p api.Principal, r *http.Request) *http.Response {
	t.Helper()
	rec := httptest.NewRecorder()
	s.Door(p).ServeHTTP(rec, r)
	answer := rec.Result()
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s %s: Cache-Control %q", r.Method, r.URL.Path, got)
	}
	if got := answer.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%s %s: X-Content-Type-Options %q", r.Method, r.URL.Path, got)
	}
	if link := answer.Header.Get("Link"); link != "" {
		t.Errorf("%s %s: Link %q", r.Method, r.URL.Path, link)
	}
	body := rec.Body.Bytes()
	doc := s.Document()
	media, schema := "application/problem+json", doc.Components.Schemas.Map()["Problem"]
	if answer.StatusCode < 400 {
		media = "application/json"
		op := operation(doc, r.Method, s.PatternOf(r))
		if op == nil || op.Responses[strconv.Itoa(answer.StatusCode)] == nil {
			t.Fatalf("%s %s: %d is not in the document", r.Method, r.URL.Path, answer.StatusCode)
		}
		content := op.Responses[strconv.Itoa(answer.StatusCode)].Content[media]
		if content == nil {
			t.Fatalf("%s %s: %s is not in the document", r.Method, r.URL.Path, media)
		}
		schema = content.Schema
	}
	if got := answer.Header.Get("Content-Type"); got != media {
		t.Errorf("%s %s: Content-Type %q, want %q", r.Method, r.URL.Path, got, media)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatalf("%s %s: %d, not JSON: %q", r.Method, r.URL.Path, answer.StatusCode, body)
	}
	var result huma.ValidateResult
	huma.Validate(doc.Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &result)
	for _, err := range result.Errors {
		t.Errorf("%s %s: the answer is not as documented: %v\n%s", r.Method, r.URL.Path, err, body)
	}
	return answer
}

func operation(doc *huma.OpenAPI, method, path string) *huma.Operation {
	item := doc.Paths[path]
	if item == nil {
		return nil
	}
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	}
	return nil
}

// concrete fills the parameters of a path in the table.
func concrete(path string) string {
	path = strings.ReplaceAll(path, "{id}", "con_0123456789abcdef")
	return strings.ReplaceAll(path, "{state}", "0123456789abcdef0123456789abcdef")
}
