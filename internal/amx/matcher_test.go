package amx

import (
	"fmt"
	"testing"
)

func TestMatchersParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`severity="page"`, `["severity" = "page"]`},
		{`severity=~"page|critical"`, `["severity" =~ "page|critical"]`},
		{`team!="dba"`, `["team" != "dba"]`},
		{`team!~dba.*`, `["team" !~ "dba.*"]`},
		{` env = prod `, `["env" = "prod"]`},
		{`a="b",c="d"`, `["a" = "b"] ["c" = "d"]`},
		{`{a="b", c!="d",}`, `["a" = "b"] ["c" != "d"]`},
		{`"k8s.io/name"="web 1"`, `["k8s.io/name" = "web 1"]`},
		{`größe=groß`, `["größe" = "groß"]`},
		{`a="comma, brace } and \"quote\""`, `["a" = "comma, brace } and \"quote\""]`},
		{`a=`, `["a" = ""]`},
		{`a=""`, `["a" = ""]`},
		// The classic syntax, where the newer one would refuse it.
		{`instance=~"web-\d+\.example"`, `["instance" =~ "web-\\d+\\.example"]`},
		{`summary=disk is full`, `["summary" = "disk is full"]`},
		// Both accept it and differ: the classic one is right.
		{`a="\t"`, `["a" = "\\t"]`},
		{``, ``},
		{`{}`, ``},
	} {
		found, err := parseMatchers(c.text)
		got := ""
		for i, m := range found {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("[%q %s %q]", m.name, m.op, m.value)
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestMatchersRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`severity`, `want =, !=, =~ or !~ before the end`},
		{`severity page`, `want =, !=, =~ or !~ before "page"`},
		{`="page"`, `want a label name before "=\"page\""`},
		{`severity="page`, `missing " after "\"page"`},
		{`severity="pa"ge"`, `unexpected "ge\""`},
		{`a-b==c`, `there is no ==: want a-b=c`},
		{`{"a b"="c"`, `missing } before the end`},
		{`"a b"="c"}`, `} without a {`},
		{`"a b"="c" d="e"`, `unexpected "d=\"e\""`},
		{`"a b"="\d"`, `bad escape in "\d": want \\ for a backslash`},
		{`severity=~"page|("`, "regular expression \"page|(\": error parsing regexp: missing closing ): `page|(`"},
		{`severity=~"*"`, "regular expression \"*\": error parsing regexp: missing argument to repetition operator: `*`"},
		{`,`, `want a label name before ","`},
	} {
		if found, err := parseMatchers(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, %v\nwant %s", c.text, found, err, c.want)
		}
	}
}

func TestCommandMatches(t *testing.T) {
	alert := &Alert{Labels: KV{"alertname": "DiskFull", "severity": "page", "env": "prod", "empty": ""}}
	for _, c := range []struct {
		name     string
		labels   map[string]string
		matchers []string
		want     bool
	}{
		{"without conditions it acts on every alert", nil, nil, true},
		{"all match_labels hold", map[string]string{"severity": "page", "env": "prod"}, nil, true},
		{"one of match_labels does not hold", map[string]string{"severity": "page", "env": "dev"}, nil, false},
		{"match_labels on a label that is absent", map[string]string{"team": ""}, nil, false},
		{"match_labels on a label that is empty", map[string]string{"empty": ""}, nil, true},
		{"a matcher takes an absent label for an empty one", nil, []string{`team=""`}, true},
		{"and so does its opposite", nil, []string{`team!="dba"`}, true},
		{"a regular expression is anchored", nil, []string{`severity=~"pag"`}, false},
		{"at both ends, through alternatives", nil, []string{`severity=~"p|age"`}, false},
		{"an alternative that is the whole", nil, []string{`severity=~"page|critical"`}, true},
		{"the opposite of a regular expression", nil, []string{`severity!~"page|critical"`}, false},
		{"a regular expression that matches nothing, on an absent label", nil, []string{`team=~".*"`}, true},
		{"a regular expression that wants something, on an absent label", nil, []string{`team=~".+"`}, false},
		{"all matchers hold", nil, []string{`severity="page"`, `env!="dev"`}, true},
		{"one matcher of several in one element does not", nil, []string{`{severity="page",env="dev"}`}, false},
		{"match_labels and matchers both count", map[string]string{"env": "prod"}, []string{`severity="warning"`}, false},
	} {
		cmd := &Command{MatchLabels: c.labels, Matchers: c.matchers, compiled: compileMatchers(c.matchers)}
		if got := cmd.Matches(alert); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
	if (&Command{Matchers: []string{`severity="page"`}}).Matches(alert) {
		t.Error("a command whose matchers nobody compiled acts on an alert")
	}
}

func FuzzMatcher(f *testing.F) {
	for _, s := range []string{`severity=~"page|critical"`, `{a="b", c!="d",}`, `a=~"\d"`, `a="\"`, `"a b"!~x`} {
		f.Add(s, "page")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		found, err := parseMatchers(text)
		if err != nil && found != nil {
			t.Fatalf("matchers %v come with %v", found, err)
		}
		for _, m := range found {
			with, without := KV{m.name: value}, KV{}
			opposite := map[matchOp]matchOp{"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
			other, err := newMatcher(m.name, opposite[m.op], m.value)
			if err != nil {
				t.Fatalf("%q: the opposite of %v: %v", text, m, err)
			}
			if m.matches(with) == other.matches(with) || m.matches(without) == other.matches(without) {
				t.Fatalf("%q: %v and its opposite agree on %q", text, m, value)
			}
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	c := &Command{MatchLabels: map[string]string{"env": "prod"}, Matchers: []string{`severity=~"page|critical"`, `team!="dba"`}}
	c.compiled = compileMatchers(c.Matchers)
	a := &Alert{Labels: KV{"alertname": "DiskFull", "severity": "page", "env": "prod"}}
	for b.Loop() {
		if !c.Matches(a) {
			b.Fatal("no match")
		}
	}
}
