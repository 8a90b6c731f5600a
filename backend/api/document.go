package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// OpenAPI returns the document that GET /v1/openapi.json serves.
func (s *Server) OpenAPI() []byte { return s.openapi() }

func (s *Server) document() []byte {
	data, err := json.Marshal(s.doc)
	if err != nil {
		panic("api: " + err.Error()) // a bug in the table
	}
	var b bytes.Buffer
	json.Indent(&b, data, "", "  ")
	b.WriteByte('\n')
	return b.Bytes()
}

func (s *Server) serveDocument(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.OpenAPI())
	return nil
}

func describeDocument(op *huma.Operation) {
	op.Responses["200"] = &huma.Response{
		Description: "OpenAPI 3.1",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
		},
	}
}
