package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The dashboard is what Grafana's own types read. The types are generated from the
// schemas of Grafana's dashboards, panels and Prometheus queries. They know which
// fields there are and which are required. They do not know the values of a field
// that takes one of a list.
func TestTheDashboardKeepsToGrafanasSchema(t *testing.T) {
	text := readDashboard(t)
	if err := checkDashboard(text); err != nil {
		t.Error(err)
	}
}

// A check that finds nothing would find nothing here either.
func TestADashboardOfAnotherSchemaIsFound(t *testing.T) {
	text := readDashboard(t)
	for _, tt := range []struct{ name, old, replaced, want string }{
		{"an unknown field of the dashboard", `"refresh"`, `"refreshes"`, "unexpected field 'refreshes'"},
		{"an unknown field of a panel", `"gridPos"`, `"gridPosition"`, "unexpected field 'gridPosition'"},
		{"an unknown option of a panel", `"graphMode"`, `"graph"`, "unexpected field 'graph'"},
		{"an unknown field of a query", `"expr"`, `"expression"`, "unexpected field 'expression'"},
		{"an unknown field of a field's configuration", `"unit"`, `"units"`, "unexpected field 'units'"},
		{"an unknown field of a variable", `"includeAll"`, `"all"`, "unexpected field 'all'"},
		{"a panel that Grafana does not have", `"type": "stat"`, `"type": "number"`, `there is no panel "number"`},
		{"a number that is text", `"w": 3`, `"w": "3"`, "cannot unmarshal string"},
		{"a field that is missing", `"reduceOptions"`, `"options"`, "reduceOptions: required field is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.ReplaceAll(string(text), tt.old, tt.replaced)
			if err := checkDashboard([]byte(changed)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func readDashboard(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../examples/grafana/amx.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// aDashboard is the form that every release of Grafana imports. The package prefers
// the one that the latest releases have beside it.
type aDashboard = dashboard.Dashboard //nolint:staticcheck // see above

// checkDashboard reads a dashboard with Grafana's types.
func checkDashboard(text []byte) error {
	plugins.RegisterDefaultPlugins() // the panels and the data sources
	var errs []error
	found := func(where string, err error) {
		if err != nil && err.Error() != "" { // the package answers an error without a text where all is well
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
	}
	found("the dashboard", new(aDashboard).UnmarshalJSONStrict(text))
	var d aDashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return errors.Join(append(errs, err)...)
	}
	found("the dashboard", d.Validate())
	var raw struct {
		Panels []struct {
			Title, Type string
			FieldConfig json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, p := range raw.Panels {
		if _, ok := cog.ConfigForPanelcfgVariant(p.Type); !ok {
			errs = append(errs, fmt.Errorf("panel %q: there is no panel %q", p.Title, p.Type))
		}
		found(fmt.Sprintf("panel %q", p.Title), new(dashboard.FieldConfigSource).UnmarshalJSONStrict(p.FieldConfig))
	}
	return errors.Join(errs...)
}
