package amx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	nodes "text/template/parse"
)

// A MissingError is that a template prints a label or an annotation that is not
// there, or is empty. The run is refused: /data/{{ .CommonLabels.tenant }} is not
// meant to be /data/ where there is no tenant.
type MissingError struct{ Field string }

func (e *MissingError) Error() string {
	field := e.Field
	if strings.HasPrefix(field, "index ") {
		field = "(" + field + ")"
	}
	return fmt.Sprintf("%s is missing or empty: if it may be, say so, with {{ or %s \"default\" }} or {{ with %s }}…{{ end }}", e.Field, field, field)
}

// demand makes every label and annotation that the template prints one that has to
// be there. This is judged on the parse tree: a field, or a call of index, whose
// value goes into the output, also through functions. What {{ if }}, {{ with }},
// {{ or }} or a comparison looks at may be missing.
func demand(t *template.Template) {
	t.Funcs(template.FuncMap{"demanded": demanded, "demandedVariable": demandedVariable})
	for _, defined := range t.Templates() {
		if defined.Tree == nil {
			continue
		}
		d := demands{lacking: map[string]bool{}}
		each(defined.Root, d.node)
	}
}

// demanded is value, of the field that text names, unless it is an empty member of
// a set of labels or annotations. Of is what it is a member of.
func demanded(of any, text string, value any) (any, error) {
	if _, isSet := of.(KV); isSet {
		return demandedVariable(text, value)
	}
	return value, nil
}

func demandedVariable(text string, value any) (any, error) {
	if value == "" {
		return nil, &MissingError{text}
	}
	return value, nil
}

// demands rewrites the nodes of one template. Lacking has the variables whose value
// is a label or an annotation that may be missing.
type demands struct {
	lacking map[string]bool
	found   int // lookups that were rewritten
}

func (d *demands) node(n nodes.Node) {
	switch n := n.(type) {
	case *nodes.ActionNode:
		if len(n.Pipe.Decl) == 0 {
			d.pipe(n.Pipe)
		} else {
			d.declare(n.Pipe)
		}
	case *nodes.TemplateNode:
		d.pipe(n.Pipe)
	case *nodes.RangeNode:
		d.pipe(n.Pipe)
	}
}

// declare notes whether the variable may be without a value, which is for whoever
// prints it to refuse.
func (d *demands) declare(p *nodes.PipeNode) {
	if p == nil || len(p.Decl) != 1 {
		return
	}
	trial := demands{lacking: d.lacking}
	trial.pipe(p.CopyPipe())
	name := p.Decl[0].Ident[0]
	d.lacking[name] = p.IsAssign && d.lacking[name] || trial.found > 0
}

func (d *demands) pipe(p *nodes.PipeNode) {
	if p == nil {
		return
	}
	for i, command := range p.Cmds {
		d.command(command, i == 0)
	}
}

// silent are the functions of whose arguments nothing is printed.
var silent = []string{"eq", "ne", "lt", "le", "gt", "ge", "not", "len", "match"}

// command rewrites one command of a pipeline. One that is not the first is given
// the value of the one before it as its last argument.
func (d *demands) command(c *nodes.CommandNode, first bool) {
	function, isCall := c.Args[0].(*nodes.IdentifierNode)
	switch {
	case !isCall:
		for i := range c.Args {
			if i > 0 || first && len(c.Args) == 1 { // else it is a method, and wants its arguments
				c.Args[i] = d.value(c.Args[i])
			}
		}
	case slices.Contains(silent, function.Ident):
	case function.Ident == "or":
		if last := len(c.Args) - 1; first && last > 0 {
			c.Args[last] = d.value(c.Args[last])
		}
	default:
		text := c.String()
		for i := 1; i < len(c.Args); i++ {
			c.Args[i] = d.value(c.Args[i])
		}
		if function.Ident == "index" && first && len(c.Args) > 2 {
			call := &nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: c.Pos, Args: c.Args}
			d.found++
			c.Args = []nodes.Node{nodes.NewIdentifier("demanded"), c.Args[1], quoted(text), piped(call)}
		}
	}
}

// value is an argument, or the call that demands its value.
func (d *demands) value(n nodes.Node) nodes.Node {
	switch n := n.(type) {
	case *nodes.PipeNode:
		d.pipe(n)
	case *nodes.FieldNode:
		var of nodes.Node = &nodes.DotNode{NodeType: nodes.NodeDot}
		if last := len(n.Ident) - 1; last > 0 {
			of = &nodes.FieldNode{NodeType: nodes.NodeField, Pos: n.Pos, Ident: n.Ident[:last]}
		}
		return d.demand(of, n, n.String(), n.Ident)
	case *nodes.VariableNode:
		last := len(n.Ident) - 1
		if last == 0 {
			return d.variable(n)
		}
		return d.demand(&nodes.VariableNode{NodeType: nodes.NodeVariable, Pos: n.Pos, Ident: n.Ident[:last]}, n, n.String(), n.Ident)
	case *nodes.ChainNode:
		text := n.String()
		n.Node = d.value(n.Node)
		of := n.Node
		if last := len(n.Field) - 1; last > 0 {
			of = &nodes.ChainNode{NodeType: nodes.NodeChain, Pos: n.Pos, Node: n.Node, Field: n.Field[:last]}
		}
		return d.demand(of, n, text, append([]string{""}, n.Field...))
	}
	return n
}

// sets are the fields that are sets of labels or annotations.
var sets = []string{"GroupLabels", "CommonLabels", "CommonAnnotations", "Labels", "Annotations"}

func (d *demands) demand(of, field nodes.Node, text string, path []string) nodes.Node {
	if len(path) > 1 && slices.Contains(sets, path[len(path)-2]) {
		d.found++
	}
	return piped(&nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: field.Position(), Args: []nodes.Node{nodes.NewIdentifier("demanded"), of, quoted(text), field}})
}

func (d *demands) variable(n *nodes.VariableNode) nodes.Node {
	if !d.lacking[n.Ident[0]] {
		return n
	}
	d.found++
	return piped(&nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: n.Pos, Args: []nodes.Node{nodes.NewIdentifier("demandedVariable"), quoted(n.String()), n}})
}

func piped(c *nodes.CommandNode) *nodes.PipeNode {
	return &nodes.PipeNode{NodeType: nodes.NodePipe, Pos: c.Pos, Cmds: []*nodes.CommandNode{c}}
}

func quoted(text string) *nodes.StringNode {
	return &nodes.StringNode{NodeType: nodes.NodeString, Quoted: fmt.Sprintf("%q", text), Text: text}
}

// named is the error of a rendering by those of amx's own that it wraps, which need
// no place in the template.
func named(err error) error {
	if e, ok := errors.AsType[notPlainError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*MissingError](err); ok {
		return e
	}
	return cleaned(err)
}
