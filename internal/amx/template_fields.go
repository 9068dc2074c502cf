package amx

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	nodes "text/template/parse"
)

// checkFields finds a field that what the template sees does not have, in every
// branch. Where it is not known what the dot is, nothing is said: text/template
// finds out when it gets there.
func checkFields[T any](t *template.Template, root T) error {
	c := fieldCheck{root: reflect.TypeOf(root)}
	if t.Tree != nil {
		c.list(t.Root, c.root)
	}
	return c.err
}

type fieldCheck struct {
	root reflect.Type // of $ and of the dot at first
	err  error
}

// list checks a list of nodes; a nil dot is one of any type.
func (c *fieldCheck) list(list *nodes.ListNode, dot reflect.Type) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *nodes.ActionNode:
			c.pipe(n.Pipe, dot)
		case *nodes.TemplateNode:
			c.pipe(n.Pipe, dot)
		case *nodes.IfNode:
			c.pipe(n.Pipe, dot)
			c.list(n.List, dot)
			c.list(n.ElseList, dot)
		case *nodes.WithNode:
			c.list(n.List, c.pipe(n.Pipe, dot))
			c.list(n.ElseList, dot)
		case *nodes.RangeNode:
			c.list(n.List, element(c.pipe(n.Pipe, dot)))
			c.list(n.ElseList, dot)
		}
	}
}

func element(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}

// pipe checks a pipeline and answers the type of its value, where that is known.
func (c *fieldCheck) pipe(p *nodes.PipeNode, dot reflect.Type) reflect.Type {
	if p == nil {
		return nil
	}
	var last reflect.Type
	for _, command := range p.Cmds {
		types := make([]reflect.Type, len(command.Args))
		for i, arg := range command.Args {
			types[i] = c.value(arg, dot)
		}
		switch function, isCall := command.Args[0].(*nodes.IdentifierNode); {
		case len(types) == 1 && !isCall:
			last = types[0]
		case isCall && function.Ident == "index" && len(types) == 3:
			last = element(types[1])
		default:
			last = nil
		}
	}
	return last
}

func (c *fieldCheck) value(n nodes.Node, dot reflect.Type) reflect.Type {
	switch n := n.(type) {
	case *nodes.DotNode:
		return dot
	case *nodes.PipeNode:
		return c.pipe(n, dot)
	case *nodes.FieldNode:
		return c.fields(n, dot, n.Ident)
	case *nodes.ChainNode:
		return c.fields(n, c.value(n.Node, dot), n.Field)
	case *nodes.VariableNode:
		if n.Ident[0] == "$" {
			return c.fields(n, c.root, n.Ident[1:])
		}
	}
	return nil
}

// fields follows the names of fields from a type on.
func (c *fieldCheck) fields(n nodes.Node, t reflect.Type, names []string) reflect.Type {
	for i, name := range names {
		if t == nil {
			return nil
		}
		if _, isMethod := t.MethodByName(name); isMethod {
			return result(t, name)
		}
		switch t.Kind() {
		case reflect.Map:
			t = t.Elem()
			continue
		case reflect.Struct:
			if field, ok := t.FieldByName(name); ok && field.IsExported() {
				t = field.Type
				continue
			}
		case reflect.Interface:
			return nil
		}
		if c.err == nil {
			c.err = fmt.Errorf("%s: %s has no field %q: %s", n, typeName(t), name, fieldRemedy(t, name, strings.Join(names[i+1:], ".")))
		}
		return nil
	}
	return t
}

// result is what a method without arguments answers, where that is one value.
func result(t reflect.Type, name string) reflect.Type {
	method, _ := t.MethodByName(name)
	if method.Type.NumOut() == 1 && method.Type.NumIn() == 1 {
		return method.Type.Out(0)
	}
	return nil
}

var typeNames = map[reflect.Type]string{
	reflect.TypeFor[Data]():    "the notification",
	reflect.TypeFor[dueData](): "the alert",
	reflect.TypeFor[Alert]():   "an alert",
	reflect.TypeFor[Alerts]():  "a list of alerts",
	reflect.TypeFor[string]():  "a text",
}

func typeName(t reflect.Type) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "a " + t.Name()
}

// elsewhere is where a notification has what only an alert has by that name.
var elsewhere = map[string]string{
	"Labels":       ".CommonLabels",
	"Annotations":  ".CommonAnnotations",
	"StartsAt":     "(index .Alerts 0).StartsAt",
	"EndsAt":       "(index .Alerts 0).EndsAt",
	"GeneratorURL": "(index .Alerts 0).GeneratorURL",
	"Fingerprint":  "(index .Alerts 0).Fingerprint",
}

// fieldRemedy says what was meant by the name of a field and the rest of the names
// behind it: a field by nearly that name, a label, or a template of the program's
// own.
func fieldRemedy(t reflect.Type, name, rest string) string {
	if rest != "" {
		rest = "." + rest
	}
	if t == reflect.TypeFor[Alerts]() {
		return "want {{ range .Alerts }}…{{ end }}, or index .Alerts 0"
	}
	if t == reflect.TypeFor[string]() {
		return "the dot is the text itself there: want {{ . }}, or $ before the field"
	}
	isData := t == reflect.TypeFor[Data]()
	for _, known := range fieldNames(t) {
		near := distance(strings.ToLower(name), strings.ToLower(known))
		if len(name) > 4 && strings.HasPrefix(known, name) {
			near = 1
		}
		switch instead := elsewhere[known]; {
		case near > 2 || near > 0 && len(name) < 5 || rest != "" && isText(t, known):
		case isData && instead != "":
			return fmt.Sprintf("want %s%s, or .%s%s within {{ range .Alerts }}", instead, rest, known, rest)
		default:
			return fmt.Sprintf("did you mean .%s%s?", known, rest)
		}
	}
	return fmt.Sprintf(`a label is .CommonLabels.%s`, strings.ToLower(name)) + braces
}

// isText says that a field is a text, which has no fields.
func isText(t reflect.Type, name string) bool {
	field, ok := t.FieldByName(name)
	return ok && field.Type.Kind() == reflect.String
}

// fieldNames is what a template may have meant, at a type.
func fieldNames(t reflect.Type) []string {
	var names []string
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !f.Anonymous {
				names = append(names, f.Name)
			}
		}
	}
	if t == reflect.TypeFor[Data]() {
		names = append(names, slices.Sorted(maps.Keys(elsewhere))...)
	}
	return names
}
