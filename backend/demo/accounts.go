package demo

// Account is somebody with an account here.
type Account struct {
	Subject  string // what never changes
	Name     string
	Email    string
	Username string
	Notes    []string
}

// accounts are the people of this server, by the name they are chosen with.
var accounts = []Account{
	{
		Subject: "demo-1815", Name: "Ada Lovelace", Email: "ada@example.com", Username: "ada",
		Notes: []string{"The engine weaves algebraic patterns.", "Ask Charles about the second set of cards."},
	},
	{
		Subject: "demo-1906", Name: "Grace Hopper", Email: "grace@example.com", Username: "grace",
		Notes: []string{"Found a moth in relay 70.", "One nanosecond is 30 centimetres of wire."},
	},
}

// account finds one by user name, address or subject.
func account(hint string) (Account, bool) {
	for _, a := range accounts {
		if hint == a.Username || hint == a.Email || hint == a.Subject {
			return a, true
		}
	}
	return Account{}, false
}

// scope is what a client can ask for.
type scope struct{ name, says string }

// scopes are all there are, in the order they are shown.
var scopes = []scope{
	{"openid", "Confirm who you are"},
	{"profile", "See your name and user name"},
	{"email", "See your email address"},
	{"notes.read", "Read your notes"},
}

// defaultScopes stand in for none (RFC 6749 section 3.3).
var defaultScopes = []string{"profile"}

func knownScope(name string) bool {
	for _, s := range scopes {
		if s.name == name {
			return true
		}
	}
	return false
}
