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
		if call := undefined(t, defined.Root); call != nil {
			return fmt.Errorf("%d: template %q not defined: want its {{ define }} in the same value", call.Line, call.Name)
		}
	}
	return nil
}

// undefined is the first call in a list of nodes of what is not defined.
func undefined(t *template.Template, list *nodes.ListNode) *nodes.TemplateNode {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		var branch *nodes.BranchNode
		switch n := node.(type) {
		case *nodes.TemplateNode:
			if t.Lookup(n.Name) == nil {
				return n
			}
			continue
		case *nodes.IfNode:
			branch = &n.BranchNode
		case *nodes.RangeNode:
			branch = &n.BranchNode
		case *nodes.WithNode:
			branch = &n.BranchNode
		default:
			continue
		}
		for _, l := range []*nodes.ListNode{branch.List, branch.ElseList} {
			if call := undefined(t, l); call != nil {
				return call
			}
		}
	}
	return nil
}
