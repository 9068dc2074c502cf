// Package layout holds the import directions of the repository: which package
// may know which, and which libraries end up in which binary. CONTRIBUTING.md
// draws the picture; depguard in .golangci.yml marks the same at each import.
package layout

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/amx-lambda/amx/"

// place says what the files of one package, tests aside, may import.
type place struct {
	below     []string // packages of this module; "*" is any but a command
	libraries []string // import paths, each with all that is under it; "*" is any
	refused   []string // of the standard library, which is free otherwise
	unlinked  []string // must not be reached through other packages either
}

const (
	awsCore   = "github.com/aws/aws-sdk-go-v2/aws"
	awsSDK    = "github.com/aws/aws-sdk-go-v2"
	awsSmithy = "github.com/aws/smithy-go"
	awsLambda = "github.com/aws/aws-lambda-go"
)

// impure is what a package without I/O and chance does not import. Its time it
// is given, but package time has the types.
var impure = []string{
	"crypto/rand", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2",
	"net", "net/http", "os", "os/exec", "os/signal", "os/user", "syscall",
}

// notLambdas is what one machine needs and no function must carry.
var notLambdas = []string{
	module + "internal/history/bolt",
	module + "internal/ledger/bolt",
	module + "internal/queue/bolt",
	module + "internal/ssmlocal",
	"github.com/alecthomas/kong",
	"go.etcd.io/bbolt",
}

// notOnLambda is what people need and a function that runs commands must not carry.
var notOnLambda = append([]string{
	module + "internal/operate",
	module + "internal/page",
	module + "internal/widget",
}, notLambdas...)

// notAtColdStart is what tells people, and what a function must not carry for
// whose answer an Alertmanager waits: it puts a report on the queue, and the
// worker sends it.
var notAtColdStart = append([]string{
	module + "internal/report/graph",
	module + "internal/report/send",
	"github.com/go-analyze/charts",
	"github.com/slack-go/slack",
}, notOnLambda...)

// places has every package that is not made of tests only. Adding one means to
// decide on its place here.
var places = map[string]place{
	"internal/amx": {
		libraries: []string{"gopkg.in/yaml.v3"},
		refused:   impure,
	},
	"internal/ledger": {
		below: []string{"internal/amx"},
	},
	// awserr reads the SDK's errors, for whoever calls it.
	"internal/awserr": {
		libraries: []string{awsSmithy},
	},
	// sleep waits with a context, for whoever tries something again.
	"internal/sleep": {},
	// table is what the stores in DynamoDB have in common.
	"internal/table": {
		below:     []string{"internal/awserr", "internal/sleep"},
		libraries: []string{awsCore, awsSDK + "/service/dynamodb"},
	},
	"internal/ledger/bolt": {
		below:     []string{"internal/amx", "internal/ledger"},
		libraries: []string{"go.etcd.io/bbolt"},
	},
	"internal/ledger/dynamo": {
		below:     []string{"internal/amx", "internal/awserr", "internal/ledger", "internal/table"},
		libraries: []string{awsCore, awsSDK + "/service/dynamodb"},
	},
	"internal/queue": {
		below: []string{"internal/amx"},
	},
	"internal/queue/bolt": {
		below:     []string{"internal/amx", "internal/queue"},
		libraries: []string{"go.etcd.io/bbolt"},
	},
	"internal/queue/sqs": {
		below:     []string{"internal/amx", "internal/awserr", "internal/queue"},
		libraries: []string{awsCore, awsSDK + "/service/sqs"},
	},
	"internal/history": {
		below: []string{"internal/amx"},
	},
	"internal/history/bolt": {
		below:     []string{"internal/history"},
		libraries: []string{"go.etcd.io/bbolt"},
	},
	"internal/history/dynamo": {
		below:     []string{"internal/awserr", "internal/history", "internal/sleep", "internal/table"},
		libraries: []string{awsCore, awsSDK + "/service/dynamodb"},
	},
	// ssmexec speaks the ledger's terms: entry, run, claim. It has no store.
	"internal/ssmexec": {
		below:     []string{"internal/amx", "internal/awserr", "internal/ledger"},
		libraries: []string{awsCore, awsSDK + "/service/ssm", "github.com/oklog/ulid/v2"},
	},
	"internal/report": {
		below: []string{"internal/amx", "internal/history", "internal/queue"},
	},
	"internal/report/graph": {
		below:     []string{"internal/amx"},
		libraries: []string{awsCore, "github.com/go-analyze/charts"},
	},
	"internal/report/send": {
		below:     []string{"internal/amx", "internal/history", "internal/ledger", "internal/queue", "internal/report", "internal/report/graph", "internal/sleep"},
		libraries: []string{"github.com/slack-go/slack"},
	},
	// operate asks the runner through an interface of its own.
	"internal/operate": {
		below:     []string{"internal/history", "internal/ledger", "internal/sleep"},
		libraries: []string{awsCore, awsSDK + "/service/ssm"},
	},
	// desk knows the stores of a stack and what stops runs, and has no client.
	"internal/operate/desk": {
		below:     []string{"internal/amx", "internal/history", "internal/history/dynamo", "internal/ledger", "internal/ledger/dynamo", "internal/operate", "internal/runner", "internal/ssmexec"},
		libraries: []string{awsSDK + "/service/sqs"},
	},
	// page is linked by the command line, not by the functions that must start fast.
	"internal/page": {
		below: []string{"internal/amx", "internal/history", "internal/operate"},
	},
	// widget is the page for the console of CloudWatch, which has no page's rights.
	"internal/widget": {
		below: []string{"internal/amx", "internal/history", "internal/operate", "internal/page"},
	},
	"internal/runner": {
		below:     []string{"internal/amx", "internal/history", "internal/ledger", "internal/queue", "internal/report", "internal/ssmexec"},
		libraries: []string{awsSDK + "/service/ssm"}, // the requests that ssmexec builds and sends
	},
	"internal/app": {
		below: []string{
			"internal/amx", "internal/awserr", "internal/history", "internal/history/dynamo", "internal/ledger", "internal/ledger/dynamo", "internal/queue",
			"internal/queue/sqs", "internal/report", "internal/runner", "internal/ssmexec",
		},
		libraries: []string{awsLambda, awsSDK},
	},
	"functions/sns":     function(notAtColdStart),
	"functions/webhook": function(notAtColdStart),
	"functions/worker":  function(notOnLambda, "internal/history", "internal/report/graph", "internal/report/send"),
	"functions/widget":  function(notLambdas, "internal/operate/desk", "internal/widget"),
	"cmd/amx": {
		below:     []string{"*"},
		libraries: []string{"*"},
	},
	// ssmlocal stands in for a service: it knows the protocol, not its caller.
	"internal/ssmlocal": {
		libraries: []string{"golang.org/x/sys/unix"},
	},
	// Only tests import these: what a store has to do, AWS on the loopback, a model
	// of it that can go wrong in any way, and Lambda's side of a function.
	"internal/ledger/storetest": {
		below: []string{"internal/ledger"},
	},
	"internal/history/storetest": {
		below: []string{"internal/amx", "internal/history"},
	},
	"internal/awstest": {
		libraries: []string{awsCore, awsSDK + "/service/dynamodb", awsSDK + "/service/sqs", awsSDK + "/service/ssm", awsSmithy},
	},
	"internal/cloudtest": {
		below:     []string{"internal/ledger", "internal/queue", "internal/ssmexec"},
		libraries: []string{awsCore, awsSDK + "/service/ssm", awsSmithy},
	},
	"internal/lambdatest": {},
	// A real Alertmanager.
	"internal/alertmanagertest": {},
	// The services that hear of things, on the loopback.
	"internal/reporttest": {},
	// A file that people copy, and amx prints.
	"examples/amp": {},
	// demo runs the built binary and sees what a user sees.
	"internal/demo": {},
	// release packs what make release builds.
	"internal/release": {},
}

// function is the place of a function, which may also import what is named.
func function(unlinked []string, below ...string) place {
	return place{below: append([]string{"internal/app"}, below...), unlinked: unlinked}
}

func TestImportsPointDown(t *testing.T) {
	packages, err := parseImports("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Fatal("no package found: is the module's root still two directories up?")
	}
	for _, v := range violations(packages) {
		t.Error(v)
	}
}

// The product's go.mod stays lean: what compares it with the real Alertmanager
// is a module of its own.
func TestTheModuleDoesNotRequireAlertmanager(t *testing.T) {
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "github.com/prometheus/alertmanager") {
		t.Error("go.mod requires Alertmanager: tests that need it belong in conformance/")
	}
}

// The protocol's model has tests only. It checks the rules apart from the code, so
// it uses none of it.
func TestTheModelKnowsNothingOfTheCode(t *testing.T) {
	files, err := filepath.Glob("../model/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("internal/model: %d files, %v", len(files), err)
	}
	for _, file := range files {
		paths, err := importsOf(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range paths {
			if !standard(imp) {
				t.Errorf("%s must not import %q", file, imp)
			}
		}
	}
}

// violations returns a sentence for each import that its package's place does
// not allow, sorted.
func violations(packages imports) []string {
	var out []string
	for dir, paths := range packages {
		p, ok := placeOf(dir)
		if !ok {
			out = append(out, fmt.Sprintf("%s has no place yet: add it to places in internal/layout", dir))
			continue
		}
		for _, imp := range paths {
			if !p.allows(imp) {
				out = append(out, fmt.Sprintf("%s must not import %q", dir, imp))
			}
		}
		for imp, importer := range packages.reachedFrom(dir) {
			if importer != dir && under(imp, p.unlinked) {
				out = append(out, fmt.Sprintf("%s must not link %q, which %s imports", dir, imp, importer))
			}
		}
	}
	slices.Sort(out)
	return out
}

func placeOf(dir string) (place, bool) {
	for pattern, p := range places {
		if ok, err := path.Match(pattern, dir); err == nil && ok {
			return p, true
		}
	}
	return place{}, false
}

func (p place) allows(imp string) bool {
	if dir, ok := strings.CutPrefix(imp, module); ok {
		command := under(dir, []string{"cmd", "functions"})
		return !command && (slices.Contains(p.below, "*") || slices.Contains(p.below, dir))
	}
	if standard(imp) {
		return !slices.Contains(p.refused, imp)
	}
	return slices.Contains(p.libraries, "*") || under(imp, p.libraries)
}

// standard tells the standard library as the go command does: the first element
// of any other import path has a dot.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

// under says whether imp is one of roots or below one.
func under(imp string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return imp == root || strings.HasPrefix(imp, root+"/")
	})
}

func TestViolations(t *testing.T) {
	tests := []struct {
		name     string
		packages imports
		want     []string
	}{
		{
			name:     "the model may parse YAML and use the standard library",
			packages: imports{"internal/amx": {"gopkg.in/yaml.v3", "text/template", "time"}},
		},
		{
			name:     "the model does no I/O",
			packages: imports{"internal/amx": {"net/http", "net/url", "os"}},
			want: []string{
				`internal/amx must not import "net/http"`,
				`internal/amx must not import "os"`,
			},
		},
		{
			name:     "the ledger's rules know no store",
			packages: imports{"internal/ledger": {module + "internal/amx", module + "internal/ledger/bolt", "go.etcd.io/bbolt"}},
			want: []string{
				`internal/ledger must not import "github.com/amx-lambda/amx/internal/ledger/bolt"`,
				`internal/ledger must not import "go.etcd.io/bbolt"`,
			},
		},
		{
			name:     "a store talks to its own service only",
			packages: imports{"internal/ledger/dynamo": {awsCore, awsSDK + "/service/dynamodb/types", awsSDK + "/service/ssm"}},
			want:     []string{`internal/ledger/dynamo must not import "github.com/aws/aws-sdk-go-v2/service/ssm"`},
		},
		{
			name: "ssmexec knows the ledger, but not its stores, and the ledger does not know ssmexec",
			packages: imports{
				"internal/ssmexec": {module + "internal/ledger", module + "internal/ledger/dynamo"},
				"internal/ledger":  {module + "internal/ssmexec"},
			},
			want: []string{
				`internal/ledger must not import "github.com/amx-lambda/amx/internal/ssmexec"`,
				`internal/ssmexec must not import "github.com/amx-lambda/amx/internal/ledger/dynamo"`,
			},
		},
		{
			name:     "nothing imports up",
			packages: imports{"internal/runner": {module + "internal/app"}, "cmd/amx": {module + "functions/sns"}},
			want: []string{
				`cmd/amx must not import "github.com/amx-lambda/amx/functions/sns"`,
				`internal/runner must not import "github.com/amx-lambda/amx/internal/app"`,
			},
		},
		{
			name: "only the command line runs commands on this machine",
			packages: imports{
				"cmd/amx":      {module + "internal/ssmlocal", "github.com/alecthomas/kong"},
				"internal/app": {module + "internal/ssmlocal"},
			},
			want: []string{`internal/app must not import "github.com/amx-lambda/amx/internal/ssmlocal"`},
		},
		{
			name: "a function does not link what the command line needs, however far away",
			packages: imports{
				"functions/webhook": {module + "internal/app"},
				"internal/app":      {module + "internal/runner"},
				"internal/runner":   {"go.etcd.io/bbolt"},
			},
			want: []string{
				`functions/webhook must not link "go.etcd.io/bbolt", which internal/runner imports`,
				`internal/runner must not import "go.etcd.io/bbolt"`,
			},
		},
		{
			name: "only the worker tells people",
			packages: imports{
				"functions/worker":     {module + "internal/report/send"},
				"functions/sns":        {module + "internal/app"},
				"internal/app":         {module + "internal/report/send"},
				"internal/report/send": {"github.com/slack-go/slack"},
			},
			want: []string{
				`functions/sns must not link "github.com/amx-lambda/amx/internal/report/send", which internal/app imports`,
				`functions/sns must not link "github.com/slack-go/slack", which internal/report/send imports`,
				`internal/app must not import "github.com/amx-lambda/amx/internal/report/send"`,
			},
		},
		{
			name: "only the widget's function shows anything to people, and it carries no report",
			packages: imports{
				"functions/widget": {module + "internal/widget", module + "internal/report/send"},
				"functions/sns":    {module + "internal/app"},
				"internal/app":     {module + "internal/widget"},
				"internal/widget":  {module + "internal/operate"},
			},
			want: []string{
				`functions/sns must not link "github.com/amx-lambda/amx/internal/operate", which internal/widget imports`,
				`functions/sns must not link "github.com/amx-lambda/amx/internal/widget", which internal/app imports`,
				`functions/widget must not import "github.com/amx-lambda/amx/internal/report/send"`,
				`internal/app must not import "github.com/amx-lambda/amx/internal/widget"`,
			},
		},
		{
			name:     "a new package needs a place",
			packages: imports{"internal/util": {"strings"}},
			want:     []string{"internal/util has no place yet: add it to places in internal/layout"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := violations(tt.packages); !slices.Equal(got, tt.want) {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
		})
	}
}
