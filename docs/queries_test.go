package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	query     = regexp.MustCompile("(?s)```\n((?:fields|filter) .*?)```")
	quoted    = regexp.MustCompile(`'[^']*'`)
	condition = regexp.MustCompile(`message (?:= ('[^']*')|in \[([^\]]*)\])`)
	word      = regexp.MustCompile(`@?[a-z_]+(?:\.[0-9])?`)
)

// logged is the source of what logs.
func logged(t *testing.T, dirs ...string) func(text string) bool {
	t.Helper()
	var code strings.Builder
	for _, dir := range dirs {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(source)
		}
	}
	return func(text string) bool { return strings.Contains(code.String(), `"`+text+`"`) }
}

// The messages that the document lists are those that amx serve logs.
func TestTheMessagesInTheLogAreThere(t *testing.T) {
	text, err := os.ReadFile("operations.md")
	if err != nil {
		t.Fatal(err)
	}
	logs := logged(t, "cmd/amx", "internal/runner", "internal/operate", "internal/app")
	messages := regexp.MustCompile("(?m)^\\| `([a-z ]+)` \\| (?:as `|INFO|WARN|ERROR|DEBUG)").FindAllStringSubmatch(string(text), -1)
	if len(messages) < 12 {
		t.Errorf("found %d messages", len(messages))
	}
	for _, m := range messages {
		if !logs(m[1]) {
			t.Errorf("nothing logs %q", m[1])
		}
	}
}

// The queries of CloudWatch Logs Insights ask for messages and fields that the
// functions log.
func TestTheQueriesAskForWhatIsLogged(t *testing.T) {
	text, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	logs := logged(t, "internal/app", "internal/runner", "internal/ssmexec")
	// Insights' own words, and the fields that Lambda adds.
	own := strings.Fields("fields filter sort desc in and as by stats count avg max latest ispresent seconds level message @timestamp")
	queries := query.FindAllStringSubmatch(string(text), -1)
	if len(queries) < 7 {
		t.Errorf("found %d queries", len(queries))
	}
	for _, q := range queries {
		for _, m := range condition.FindAllStringSubmatch(q[1], -1) {
			for _, message := range quoted.FindAllString(m[1]+m[2], -1) {
				if !logs(strings.Trim(message, "'")) {
					t.Errorf("nothing logs %s:\n%s", message, q[1])
				}
			}
		}
		for _, field := range word.FindAllString(quoted.ReplaceAllString(q[1], ""), -1) {
			name, _, _ := strings.Cut(field, ".")
			if !slices.Contains(own, name) && !logs(name) {
				t.Errorf("nothing logs the field %s:\n%s", name, q[1])
			}
		}
	}
}
