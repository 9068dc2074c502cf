package amx

import (
	"strings"
	"unicode"
)

// title begins each word with a capital and lowers the rest, as Alertmanager's
// function of that name does.
func title(text string) string {
	var b strings.Builder
	inWord := false
	for _, r := range text {
		if inWord {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToTitle(r))
		}
		inWord = unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '\''
	}
	return b.String()
}
