package amx

import (
	"strings"
	"unicode"
)

// title begins each word with a capital and lowers the rest, as Alertmanager's
// function of that name does with golang.org/x/text/cases. That package's tables
// are not worth half a megabyte in every function, so the word breaks are drawn
// here, by its approximation of https://www.unicode.org/reports/tr29/. They are
// the same for Latin, Greek and Cyrillic. Left out are the letters that change
// into several (ß, ligatures) and Greek's final sigma.
func title(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	inWord, afterMid := false, false
	for _, r := range text {
		mid := unicode.Is(midWord, r)
		if mid && afterMid {
			inWord = false
		}
		afterMid = mid
		switch {
		case !isCased(r):
			b.WriteRune(r)
			inWord = inWord && (mid || joinsWord(r))
		case inWord:
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(unicode.ToTitle(r))
			inWord = true
		}
	}
	return b.String()
}

// midWord has the characters that join two letters if they stand alone between
// them, as in don't: Word_Break MidLetter, MidNumLet and Single_Quote.
var midWord = &unicode.RangeTable{
	R16: []unicode.Range16{
		{'\'', '\'', 1},
		{'.', '.', 1},
		{':', ':', 1},
		{0xb7, 0xb7, 1},
		{0x387, 0x387, 1},
		{0x55f, 0x55f, 1},
		{0x5f4, 0x5f4, 1},
		{0x2018, 0x2019, 1},
		{0x2024, 0x2024, 1},
		{0x2027, 0x2027, 1},
		{0xfe13, 0xfe13, 1},
		{0xfe52, 0xfe52, 1},
		{0xfe55, 0xfe55, 1},
		{0xff07, 0xff07, 1},
		{0xff0e, 0xff0e, 1},
		{0xff1a, 0xff1a, 1},
	},
	LatinOffset: 4,
}

func isCased(r rune) bool {
	return unicode.In(r, unicode.Upper, unicode.Lower, unicode.Title, unicode.Other_Uppercase, unicode.Other_Lowercase)
}

// joinsWord reports whether an uncased character is part of a word: letters of
// scripts that put spaces between words, digits, marks and connectors.
func joinsWord(r rune) bool {
	if unicode.In(r, unicode.Nd, unicode.Nl, unicode.M, unicode.Pc, unicode.Cf) {
		return true
	}
	return unicode.IsLetter(r) &&
		!unicode.In(r, unicode.Ideographic, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
