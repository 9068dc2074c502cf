package ssmlocal

import (
	"fmt"
	"regexp"
	"strings"
)

// parameterReference is what the agent replaces with a value of Parameter Store.
var parameterReference = regexp.MustCompile(`\{\{ *ssm:([/\w.:-]+) *\}\}`)

// listItem is an element of a StringList that commands is made of, as the agent
// takes it apart: a comma within single quotes does not divide.
var listItem = regexp.MustCompile(`[^',]+|'[^']+'`)

// withReferences answers a document's parameters as the agent has them when it
// runs the document: references to Parameter Store replaced, all or none.
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

// resolveReferences replaces the references in one value. Where the parameter
// is a list of strings, one that is nothing but a reference to a StringList
// becomes its items; elsewhere a StringList has no place.
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
