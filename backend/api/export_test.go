package api

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Document returns what openapi.json is written from.
func (s *Server) Document() *huma.OpenAPI { return s.doc }

// Mux returns the mux that all doors share.
func (s *Server) Mux() *http.ServeMux { return s.mux }

// PatternOf returns the path in the table that a request reaches.
func (s *Server) PatternOf(r *http.Request) string {
	_, pattern := s.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, " ")
	return path
}

// Row is what tests need of a route.
type Row struct {
	Method, Path string
	Admits       []string
}

// Table lists the routes in their order.
func Table() []Row {
	var rows []Row
	for _, r := range routes() {
		rows = append(rows, Row{r.method, r.path, r.access.names()})
	}
	return rows
}

// NewWithARouteForNobody builds a server whose table has one more row, without
// an access policy.
func NewWithARouteForNobody(opts Options, method, path string) *Server {
	return build(opts, append(routes(), route{method: method, path: path, name: "forNobody", binding: typed((*Server).health)}))
}

// Principals are all of them, nobody first.
func Principals() []Principal { return append([]Principal{nobody}, principals...) }

var (
	PlainTokenQuery = plainTokenQuery
	StatusOf        = statusOf
	ProblemOf       = func(err error) (status int, header http.Header) { p := problemOf(err); return p.Status, p.header }
	Canonical       = canonical
)

const (
	MaxProvider = maxProvider
	MaxAccount  = maxAccount
	MaxClientID = maxClientID
	MaxMinValid = maxMinValid
	MaxConns    = maxConns
	MaxStreams  = maxStreams
	MaxRequests = maxRequests
)
