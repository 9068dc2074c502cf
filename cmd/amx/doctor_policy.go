package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// publisher is the principal of everybody's workspaces.
const publisher = "aps.amazonaws.com"

// oneOrMore is a string, or a list of them, as policies have both.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

type policyStatement struct {
	Effect    string
	Principal json.RawMessage
	Action    oneOrMore
	Condition map[string]map[string]oneOrMore
}

func (s *policyStatement) names(service string) bool {
	var principal struct{ Service oneOrMore }
	return json.Unmarshal(s.Principal, &principal) == nil && slices.Contains(principal.Service, service)
}

// sources are the ARNs that a statement is limited to.
func (s *policyStatement) sources() (arns []string) {
	for _, operator := range []string{"ArnEquals", "ArnLike", "StringEquals", "StringLike"} {
		for key, values := range s.Condition[operator] {
			if strings.EqualFold(key, "aws:SourceArn") {
				arns = append(arns, values...)
			}
		}
	}
	return arns
}

// publishes says why a topic's policy does not let the workspace, and it alone,
// publish; "": it does.
func publishes(policy, workspace string) string {
	var p struct{ Statement []policyStatement }
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	why := "no statement names " + publisher
	for _, s := range p.Statement {
		if s.Effect != "Allow" || !s.names(publisher) {
			continue
		}
		if !allows(s.Action, "sns:Publish") {
			why = "a statement names " + publisher + ", and not sns:Publish"
			continue
		}
		switch arns := s.sources(); {
		case len(arns) == 0:
			return "it lets everybody's workspaces publish, because a statement has no aws:SourceArn"
		case slices.Contains(arns, workspace):
			return ""
		default:
			why = fmt.Sprintf("it names %s", strings.Join(arns, ", "))
		}
	}
	return why
}

func allows(actions []string, action string) bool {
	return slices.ContainsFunc(actions, func(a string) bool {
		return strings.EqualFold(a, action) || a == "*" || strings.EqualFold(a, "sns:*")
	})
}
