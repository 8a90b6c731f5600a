//go:build !windows

package app

import _ "embed"

var (
	//go:embed icons/well.png
	wellIcon []byte
	//go:embed icons/working.png
	workingIcon []byte
	//go:embed icons/attention.png
	attentionIcon []byte
)
