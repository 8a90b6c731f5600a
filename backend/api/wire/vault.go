package wire

// Unlock gets the key of the store again.
type Unlock struct {
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" doc:"When a passphrase guards the key"`
}

// ProtectorChange says what is to guard the key from now on.
type ProtectorChange struct {
	Protector  string `json:"protector" enum:"keyring,passphrase,key_file"`
	KeyFile    string `json:"key_file,omitempty" maxLength:"4096" doc:"Absolute path; it is made when it does not exist"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024"`
}

// ProtectorChanged says what came of it.
type ProtectorChanged struct {
	Protector string    `json:"protector" enum:"keyring,passphrase,key_file"`
	Damaged   []Damaged `json:"damaged,omitempty" doc:"Rows that had not opened before: left as they were"`
	Says      []string  `json:"says,omitempty" doc:"Sentences about what is left for the user to do"`
}
