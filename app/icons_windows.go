package app

import _ "embed"

var (
	//go:embed icons/well.ico
	wellIcon []byte
	//go:embed icons/working.ico
	workingIcon []byte
	//go:embed icons/attention.ico
	attentionIcon []byte
)
