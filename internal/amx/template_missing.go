package amx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	nodes "text/template/parse"
)

// A MissingError says that a template prints a label or an annotation that is
// missing or empty. amx refuses the run: nobody wants
// /data/{{ .CommonLabels.tenant }} to become /data/ if there is no tenant.
type MissingError struct{ Field string }

func (e *MissingError) Error() string {
	field := e.Field
	if strings.HasPrefix(field, "index ") {
		field = "(" + field + ")"
	}
	return fmt.Sprintf("%s is missing or empty: if it may be, say so, with {{ or %s \"default\" }} or {{ with %s }}…{{ end }}", e.Field, field, field)
}

// demand changes the template so that a missing label or annotation that it prints
// is an error. It finds them in the parse tree: each field, or call of index, whose
// value goes into the output, also through functions, a variable or the dot of a
// {{ with }}. {{ if }}, {{ with }}, {{ or }} and comparisons may look at a missing
// label, as long as its value is not used: printf "/data/%s" of a missing label is
// not an empty text, so it is an error when it is printed.
func demand(t *template.Template) {
	l := &lacks{variables: map[string]string{}}
	t.Funcs(template.FuncMap{
		"demanded": l.demanded, "demandedVariable": l.demandedVariable, "noted": l.noted, "notedVariable": l.notedVariable,
		"begin": l.begin, "whole": l.whole, "settled": l.settled,
	})
	d := demands{}
	for _, defined := range t.Templates() {
		if defined.Tree != nil {
			d.variables = nil
			d.list(defined.Root)
		}
	}
}

// lacks is what was missing so far while a template runs.
type lacks struct {
	lookups   []string          // that found nothing
	variables map[string]string // :: key of a variable → the lookup that its value lacks
}

// demanded returns value, which is the field that text names, a member of of. If of
// is a set of labels or annotations and value is empty, it returns an error.
func (l *lacks) demanded(of any, text string, value any) (any, error) {
	if _, isSet := of.(KV); isSet && value == "" {
		return nil, &MissingError{text}
	}
	return value, nil
}

// noted is the same where it is not yet known whether the value is printed.
func (l *lacks) noted(of any, text string, value any) any {
	if _, err := l.demanded(of, text, value); err != nil {
		l.lookups = append(l.lookups, text)
	}
	return value
}

func (l *lacks) demandedVariable(key, text string, value any) (any, error) {
	switch lookup := l.variables[key]; {
	case lookup == "":
		return value, nil
	case value == "":
		return nil, &MissingError{text}
	default:
		return nil, &MissingError{lookup}
	}
}

func (l *lacks) notedVariable(key string, value any) any {
	if lookup := l.variables[key]; lookup != "" {
		l.lookups = append(l.lookups, lookup)
	}
	return value
}

// begin is evaluated before the value that the same call is given.
func (l *lacks) begin() int { return len(l.lookups) }

// whole is a value that is looked at, and used unless it is empty: then nothing of it
// may have been missing.
func (l *lacks) whole(begun int, value any) (any, error) {
	if used, _ := template.IsTrue(value); used && len(l.lookups) > begun {
		return nil, &MissingError{l.lookups[begun]}
	}
	l.lookups = l.lookups[:begun]
	return value, nil
}

// settled is the value of a variable, and notes what is missing in it.
func (l *lacks) settled(key string, begun int, value any) any {
	delete(l.variables, key)
	if len(l.lookups) > begun {
		l.variables[key] = l.lookups[begun]
	}
	return value
}

// demands rewrites the nodes of templates.
type demands struct {
	variables []scoped // in scope, the innermost last
	declared  int
	notes     bool // what is missing is noted: it may not be printed
}

// scoped is one declaration of a variable. One of a range has no key: what it stands
// for has been demanded.
type scoped struct{ name, key string }

func (d *demands) list(list *nodes.ListNode) {
	if list == nil {
		return
	}
	outer := len(d.variables)
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *nodes.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				d.pipe(n.Pipe)
			} else {
				d.declare(n.Pipe)
			}
		case *nodes.TemplateNode:
			d.pipe(n.Pipe)
		case *nodes.IfNode:
			d.branch(&n.BranchNode, func(p *nodes.PipeNode) {
				if len(p.Decl) > 0 {
					d.declare(p)
				}
			})
		case *nodes.WithNode:
			d.branch(&n.BranchNode, func(p *nodes.PipeNode) {
				d.declare(p)
				d.wrap(p, nodes.NewIdentifier("whole"))
			})
		case *nodes.RangeNode:
			d.branch(&n.BranchNode, func(p *nodes.PipeNode) {
				d.pipe(p)
				for _, v := range p.Decl {
					d.variables = append(d.variables, scoped{name: v.Ident[0]})
				}
			})
		}
	}
	d.variables = d.variables[:outer]
}

func (d *demands) branch(n *nodes.BranchNode, pipe func(*nodes.PipeNode)) {
	outer := len(d.variables)
	pipe(n.Pipe)
	d.list(n.List)
	d.list(n.ElseList)
	d.variables = d.variables[:outer]
}

// declare notes what is missing in the value of a variable, which is for whoever
// prints it to refuse, or in that of a pipeline without one.
func (d *demands) declare(p *nodes.PipeNode) {
	d.noting(func() { d.pipe(p) })
	if len(p.Decl) != 1 {
		return
	}
	name := p.Decl[0].Ident[0]
	key := d.key(name)
	if !p.IsAssign {
		d.declared++
		key = fmt.Sprint(name, d.declared)
		d.variables = append(d.variables, scoped{name, key})
	}
	if key != "" {
		d.wrap(p, nodes.NewIdentifier("settled"), quoted(key))
	}
}

// key is the key of the innermost variable with this name.
func (d *demands) key(name string) string {
	for _, v := range slices.Backward(d.variables) {
		if v.name == name {
			return v.key
		}
	}
	return ""
}

func (d *demands) noting(rewrite func()) {
	defer func(before bool) { d.notes = before }(d.notes)
	d.notes = true
	rewrite()
}

// wrap makes a pipeline the last argument of a call, and begin the one before it.
func (d *demands) wrap(p *nodes.PipeNode, call ...nodes.Node) {
	value := &nodes.PipeNode{NodeType: nodes.NodePipe, Pos: p.Pos, Cmds: p.Cmds}
	p.Cmds = []*nodes.CommandNode{{NodeType: nodes.NodeCommand, Pos: p.Pos, Args: append(call, nodes.NewIdentifier("begin"), value)}}
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
		for i := 1; i < len(c.Args); i++ {
			if first && i == len(c.Args)-1 {
				c.Args[i] = d.value(c.Args[i])
			} else {
				c.Args[i] = d.lookedAt(c.Args[i])
			}
		}
	default:
		text := c.String()
		for i := 1; i < len(c.Args); i++ {
			c.Args[i] = d.value(c.Args[i])
		}
		if function.Ident == "index" && first && len(c.Args) > 2 {
			call := &nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: c.Pos, Args: c.Args}
			c.Args = []nodes.Node{d.demanded(), c.Args[1], quoted(text), piped(call)}
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
		return d.demand(of, n, n.String())
	case *nodes.VariableNode:
		last := len(n.Ident) - 1
		if last == 0 {
			return d.variable(n, n)
		}
		of := &nodes.VariableNode{NodeType: nodes.NodeVariable, Pos: n.Pos, Ident: n.Ident[:last]}
		return d.variable(n, d.demand(of, n, n.String()))
	case *nodes.ChainNode:
		text := n.String()
		n.Node = d.value(n.Node)
		of := n.Node
		if last := len(n.Field) - 1; last > 0 {
			of = &nodes.ChainNode{NodeType: nodes.NodeChain, Pos: n.Pos, Node: n.Node, Field: n.Field[:last]}
		}
		return d.demand(of, n, text)
	}
	return n
}

// lookedAt is an argument that is used unless it is empty.
func (d *demands) lookedAt(n nodes.Node) nodes.Node {
	_, isVariable := n.(*nodes.VariableNode)
	if _, isPipe := n.(*nodes.PipeNode); !isPipe && !isVariable {
		return n // a missing label is empty
	}
	var p *nodes.PipeNode
	d.noting(func() {
		p = piped(&nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: n.Position(), Args: []nodes.Node{d.value(n)}})
	})
	d.wrap(p, nodes.NewIdentifier("whole"))
	return p
}

func (d *demands) demanded() nodes.Node {
	if d.notes {
		return nodes.NewIdentifier("noted")
	}
	return nodes.NewIdentifier("demanded")
}

func (d *demands) demand(of, field nodes.Node, text string) nodes.Node {
	return piped(&nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: field.Position(), Args: []nodes.Node{d.demanded(), of, quoted(text), field}})
}

// variable is the value of a variable, or of a field of it.
func (d *demands) variable(n *nodes.VariableNode, value nodes.Node) nodes.Node {
	key := d.key(n.Ident[0])
	if key == "" {
		return value
	}
	args := []nodes.Node{nodes.NewIdentifier("notedVariable"), quoted(key), value}
	if !d.notes {
		args = []nodes.Node{nodes.NewIdentifier("demandedVariable"), quoted(key), quoted(n.String()), value}
	}
	return piped(&nodes.CommandNode{NodeType: nodes.NodeCommand, Pos: n.Pos, Args: args})
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
