package oauth

// HTTP is written in http.go; this line lets others compile meanwhile.
type HTTP struct{}
