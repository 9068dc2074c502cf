package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ledgerFiles is the ledger's sources, without its tests and stores.
func ledgerFiles(t *testing.T) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range find(t, "../internal/ledger/*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// text is a literal of a source; cut: up to its first verb of fmt, or to what is
// put behind it.
type text struct {
	string
	cut bool
}

func texts(n ast.Node) []text {
	var found []text
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, _ := strconv.Unquote(lit.Value)
			s, _, cut := strings.Cut(s, "%")
			if s != "" {
				found = append(found, text{s, cut || len(s) > len(": ") && strings.HasSuffix(s, " ")})
			}
		}
		return true
	})
	return found
}

// given says that a reason is made of these texts.
func given(known []text, reason string) bool {
	return reason == "" || slices.ContainsFunc(known, func(x text) bool {
		rest, ok := strings.CutPrefix(reason, x.string)
		return ok && (x.cut || given(known, rest))
	})
}

// shown is the reasons that the contract lists.
func shown(t *testing.T) []string {
	t.Helper()
	_, section, ok := strings.Cut(read(t, "contract.md"), "\n### Reasons\n")
	section, _, end := strings.Cut(section, "\n### ")
	if !ok || !end {
		t.Fatal(`contract.md has no section "Reasons"`)
	}
	table, _, _ := strings.Cut(strings.TrimLeft(section, "\n"), "\n\n")
	var reasons []string
	for _, row := range regexp.MustCompile("(?m)^\\| [a-z, ]+ \\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		reasons = append(reasons, row[1])
	}
	return reasons
}

func TestTheContractListsEveryReason(t *testing.T) {
	reasons := shown(t)
	constants := 0
	for _, file := range ledgerFiles(t) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				spec := spec.(*ast.ValueSpec)
				if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
					continue
				}
				constants++
				want := texts(spec)[0].string
				if !slices.ContainsFunc(reasons, func(r string) bool { return r == want || strings.HasPrefix(r, want+": ") }) {
					t.Errorf("contract.md does not list the reason %q of %s", want, spec.Names[0])
				}
			}
		}
	}
	if constants < 20 {
		t.Errorf("only %d constants of type Reason are found: does this test still see them?", constants)
	}
}

// A reason that the contract lists is made of texts of the ledger's sources, and of
// a signal's name.
func TestTheLedgerGivesEveryReasonOfTheContract(t *testing.T) {
	var known []text
	for _, file := range ledgerFiles(t) {
		known = append(known, texts(file)...)
	}
	for _, reason := range shown(t) {
		if !given(known, strings.Replace(reason, "SIGTERM", "", 1)) {
			t.Errorf("contract.md lists the reason %q, and internal/ledger has no texts that make it", reason)
		}
	}
}
