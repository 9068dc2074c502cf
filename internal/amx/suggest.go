package amx

import (
	"slices"
	"strings"
)

// remedy says what an unknown key may have been meant to be: the known one that
// takes the fewest changes, if they are few or it has the typed one in it, or the
// nearest three.
func remedy(typed string, known []string) string {
	type candidate struct {
		name  string
		steps int
	}
	near := make([]candidate, len(known))
	for i, k := range known {
		lower := strings.ToLower(k)
		near[i] = candidate{k, distance(strings.ToLower(typed), lower)}
		if len(typed) > 3 && strings.Contains(lower, strings.ToLower(typed)) {
			near[i].steps = min(near[i].steps, 1)
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return a.steps - b.steps })
	switch {
	case len(near) == 0:
		return "there is none"
	case near[0].steps < min(3, len(typed)):
		return `did you mean "` + near[0].name + `"?`
	}
	names := []string{"the nearest are"}
	for _, c := range near[:min(3, len(near))] {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
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
