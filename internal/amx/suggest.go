package amx

import "strings"

// remedy says what an unknown key may have been meant to be: the known one that
// takes the fewest changes, if they are few, or all of them.
func remedy(typed string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(typed), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return `did you mean "` + best + `"?`
	}
	return "want one of " + strings.Join(known, " ")
}

// distance is the number of characters to insert, drop or replace to get from
// one text to the other (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
