package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// imports is what each package of the module imports outside its tests, sorted.
type imports map[string][]string // :: directory → import paths

// parseImports reads the imports of all Go files under root. It parses them
// rather than ask go list: go test then sees what the result depends on, and
// never answers with an old one from its cache. Build constraints do not count:
// each file has to keep the rules.
func parseImports(root string) (imports, error) {
	packages := imports{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name != root && passedBy(name, entry) {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		paths, err := importsOf(name)
		dir = filepath.ToSlash(dir)
		packages[dir] = append(packages[dir], paths...)
		return err
	})
	for dir, paths := range packages {
		slices.Sort(paths)
		packages[dir] = slices.Compact(paths)
	}
	return packages, err
}

// passedBy tells the directories in which the go command finds no package of
// this module.
func passedBy(name string, entry fs.DirEntry) bool {
	if base := entry.Name(); base == "testdata" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func importsOf(file string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, imp)
	}
	return paths, nil
}

// reachedFrom follows the imports of the package in dir through this module and
// returns each import path that it meets, with one directory that imports it.
func (packages imports) reachedFrom(dir string) map[string]string { // :: import path → directory
	found := map[string]string{}
	for queue := []string{dir}; len(queue) > 0; queue = queue[1:] {
		for _, imp := range packages[queue[0]] {
			if _, ok := found[imp]; ok {
				continue
			}
			found[imp] = queue[0]
			if next, ok := strings.CutPrefix(imp, module); ok {
				queue = append(queue, next)
			}
		}
	}
	return found
}
