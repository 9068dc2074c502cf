package amx

import (
	"fmt"
	"slices"
	"strings"
	"text/template"
	nodes "text/template/parse"
)

// checkCalls finds a {{ template "x" }} that nothing defines, which text/template
// itself finds no sooner than it gets there. Each value is on its own: it can
// call what it defines.
func checkCalls(t *template.Template) error {
	all := t.Templates()
	slices.SortFunc(all, func(a, b *template.Template) int { return strings.Compare(a.Name(), b.Name()) })
	for _, defined := range all {
		if defined.Tree == nil {
			continue
		}
		var missing *nodes.TemplateNode
		each(defined.Root, func(node nodes.Node) {
			if n, ok := node.(*nodes.TemplateNode); ok && missing == nil && t.Lookup(n.Name) == nil {
				missing = n
			}
		})
		if missing != nil {
			return fmt.Errorf("%d: template %q not defined: want its {{ define }} in the same value", missing.Line, missing.Name)
		}
	}
	return nil
}

// each visits the nodes of a list, and of its branches.
func each(list *nodes.ListNode, visit func(nodes.Node)) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		visit(node)
		var branch *nodes.BranchNode
		switch n := node.(type) {
		case *nodes.IfNode:
			branch = &n.BranchNode
		case *nodes.RangeNode:
			branch = &n.BranchNode
		case *nodes.WithNode:
			branch = &n.BranchNode
		default:
			continue
		}
		each(branch.List, visit)
		each(branch.ElseList, visit)
	}
}
