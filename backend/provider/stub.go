package provider

// Catalogue and Registration: their own files replace these lines.
type (
	Catalogue    struct{}
	Registration struct{}
)
