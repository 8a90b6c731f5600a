package wire

// Export asks for everything in one file that a passphrase opens. Keyturn
// writes the file itself: no token passes through the caller.
type Export struct {
	Path       string `json:"path" minLength:"1" maxLength:"4096" doc:"Absolute path of a file that is not there yet"`
	Passphrase string `json:"passphrase" minLength:"8" maxLength:"1024"`
	Move       bool   `json:"move,omitempty" doc:"Forget the connections here, without revoking them, once the file is safe"`
}

// Exported says what the file holds.
type Exported struct {
	Path        string  `json:"path"`
	Connections []Moved `json:"connections" nullable:"false"`
	Apps        int     `json:"apps"`
	Providers   int     `json:"providers" doc:"Of the user's own"`
	Moved       bool    `json:"moved" doc:"The connections are forgotten here"`
	Rotating    []Moved `json:"rotating,omitempty" doc:"Can live on one computer only: each use ends their refresh token"`
	Kept        []Moved `json:"kept,omitempty" doc:"In the file, and could not be deleted here"`
}

// Moved names a connection in a file.
type Moved struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Account  string `json:"account,omitempty"`
}

// Import takes what Export wrote.
type Import struct {
	Path       string `json:"path" minLength:"1" maxLength:"4096" doc:"Absolute path"`
	Passphrase string `json:"passphrase" minLength:"1" maxLength:"1024"`
	Replace    bool   `json:"replace,omitempty" doc:"Take what is in the file also where the same is there already"`
}

// Imported says what was taken.
type Imported struct {
	Connections []Moved   `json:"connections" nullable:"false"`
	Apps        int       `json:"apps"`
	Providers   int       `json:"providers"`
	Skipped     []Skipped `json:"skipped,omitempty"`
}

// Skipped was in the file and was not taken.
type Skipped struct {
	Kind     string `json:"kind" enum:"connection,app,provider"`
	Provider string `json:"provider"`
	Name     string `json:"name,omitempty" doc:"Account, client id or name"`
	Says     string `json:"says" doc:"Why, in a sentence"`
}
