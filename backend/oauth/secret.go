package oauth

import "log/slog"

// Secret holds a token, a code, a verifier or a client secret. Whatever prints
// it prints "[redacted]"; Reveal is the one way to its text, and can be
// searched for. The text sits behind a pointer because fmt reads unexported
// fields past any String method.
type Secret struct{ text *string }

const redacted = "[redacted]"

// NewSecret hides s. The empty string makes the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == nil }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
