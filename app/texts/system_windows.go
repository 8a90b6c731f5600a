package texts

import "golang.org/x/sys/windows"

// preferred is the language of the system, as a tag of BCP 47; "" when not known.
func preferred() string {
	tags, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil || len(tags) == 0 {
		return ""
	}
	return tags[0]
}
