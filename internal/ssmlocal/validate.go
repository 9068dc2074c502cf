package ssmlocal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The patterns of the service model. The service matches whole strings.
var (
	instanceIDPattern      = whole(`(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`)
	documentNamePattern    = whole(`^[a-zA-Z0-9_\-.:/]{3,128}$`)
	documentVersionPattern = whole(`([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`)
	maxConcurrencyPattern  = whole(`^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`)
	maxErrorsPattern       = whole(`^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`)
	targetKeyPattern       = whole(`^[\p{L}\p{Z}\p{N}_.:/=\-@]*$|resource-groups:ResourceTypeFilters|resource-groups:Name`)
	commandIDPattern       = whole(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
)

func whole(expr string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)$`) }

// violations collects the violations of the service model in a request. It returns all of
// them in one ValidationException, in the service's words.
type violations []string

func (v *violations) add(value any, path, constraint string, args ...any) {
	shown := "null"
	if value != nil {
		shown = fmt.Sprintf("'%v'", value)
	}
	*v = append(*v, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must "+constraint,
		append([]any{shown, path}, args...)...))
}

func (v *violations) required(path string, s *string) {
	if s == nil {
		v.add(nil, path, "not be null")
	}
}

// length checks characters, not bytes; max 0 means no limit.
func (v *violations) length(path string, s *string, least, most int) {
	if s == nil {
		return
	}
	switch n := utf8.RuneCountInString(*s); {
	case n < least:
		v.add(*s, path, "have length greater than or equal to %d", least)
	case most > 0 && n > most:
		v.add(*s, path, "have length less than or equal to %d", most)
	}
}

func (v *violations) pattern(path string, s *string, re *regexp.Regexp) {
	if s != nil && !re.MatchString(*s) {
		v.add(*s, path, "satisfy regular expression pattern: %s", bare(re))
	}
}

func (v *violations) enum(path string, s *string, values ...string) {
	if s != nil && !slices.Contains(values, *s) {
		v.add(*s, path, "satisfy enum value set: [%s]", strings.Join(values, ", "))
	}
}

func (v *violations) between(path string, n *int, least, most int) {
	switch {
	case n == nil:
	case *n < least:
		v.add(*n, path, "have value greater than or equal to %d", least)
	case *n > most:
		v.add(*n, path, "have value less than or equal to %d", most)
	}
}

func (v *violations) count(path string, n, least, most int) {
	switch {
	case n < least:
		v.add(fmt.Sprintf("%d members", n), path, "have length greater than or equal to %d", least)
	case n > most:
		v.add(fmt.Sprintf("%d members", n), path, "have length less than or equal to %d", most)
	}
}

func (v *violations) instanceIDs(path string, ids []string) {
	v.count(path, len(ids), 0, 50)
	for _, id := range ids {
		if !instanceIDPattern.MatchString(id) {
			v.add("["+strings.Join(ids, ", ")+"]", path,
				"satisfy constraint: [Member must satisfy regular expression pattern: %s]", bare(instanceIDPattern))
			return
		}
	}
}

func (v violations) err() error {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return &apiError{"ValidationException", "1 validation error detected: " + v[0]}
	}
	return &apiError{"ValidationException", fmt.Sprintf("%d validation errors detected: %s", len(v), strings.Join(v, "; "))}
}

// bare is the pattern as the model writes it.
func bare(re *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(re.String(), `^(?:`), `)$`)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
