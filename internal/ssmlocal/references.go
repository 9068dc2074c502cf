package ssmlocal

import (
	"fmt"
	"regexp"
	"strings"
)

// parameterReference matches a reference that the agent replaces with a value of Parameter
// Store.
var parameterReference = regexp.MustCompile(`\{\{ *ssm:([/\w.:-]+) *\}\}`)

// listItem is an element of a StringList in `commands`. The agent splits the list at
// commas, but not within single quotes.
var listItem = regexp.MustCompile(`[^',]+|'[^']+'`)

// withReferences returns a document's parameters as the agent has them when it runs the
// document. It replaces all references to Parameter Store, or none after an error.
func (s *Server) withReferences(given map[string][]string) (map[string][]string, error) {
	if !hasReference(given) {
		return given, nil
	}
	resolved := make(map[string][]string, len(given))
	for name, values := range given {
		out := make([]string, 0, len(values))
		for _, v := range values {
			parts, err := s.resolveReferences(v, name == "commands")
			if err != nil {
				return nil, err
			}
			out = append(out, parts...)
		}
		resolved[name] = out
	}
	if v, ok := resolved["executionTimeout"]; ok && !executionTimeoutPattern.MatchString(v[0]) {
		return nil, fmt.Errorf("parameter value for executionTimeout does not match the allowed pattern %s", bare(executionTimeoutPattern))
	}
	return resolved, nil
}

func hasReference(given map[string][]string) bool {
	for _, values := range given {
		for _, v := range values {
			if strings.Contains(v, "{{") && parameterReference.MatchString(v) {
				return true
			}
		}
	}
	return false
}

// resolveReferences replaces the references in one value. If the parameter is a list of
// strings, a value that is only a reference to a StringList becomes its items. Elsewhere
// a StringList is an error.
func (s *Server) resolveReferences(value string, list bool) ([]string, error) {
	var failed error
	var items []string
	text := parameterReference.ReplaceAllStringFunc(value, func(ref string) string {
		name := parameterReference.FindStringSubmatch(ref)[1]
		_, _, p, err := s.parameters.find(name)
		switch {
		case failed != nil:
		case err != nil:
			failed = fmt.Errorf("resolving %q: the parameter does not exist", ref)
		case p.Type == typeSecureString:
			failed = fmt.Errorf("resolving %q: parameters of type SecureString are not supported", ref)
		case p.Type == typeStringList && list && strings.TrimSpace(value) == ref:
			for _, item := range listItem.FindAllString(p.Value, -1) {
				items = append(items, strings.TrimSpace(strings.ReplaceAll(item, "'", "")))
			}
		case p.Type == typeStringList:
			failed = fmt.Errorf("resolving %q: a parameter of type StringList cannot be used as a String", ref)
		default:
			return p.Value
		}
		return ""
	})
	if items != nil {
		return items, failed
	}
	return []string{text}, failed
}
