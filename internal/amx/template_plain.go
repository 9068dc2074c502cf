package amx

import (
	"fmt"
	"slices"
	"strings"
	"text/template"
	nodes "text/template/parse"
)

// shellDocuments run their parameter as root's shell reads it, and quote nothing.
// Others may do so too, which only their authors know.
var shellDocuments = []string{"AWS-RunShellScript", "AWS-RunPowerShellScript"}

// isShellDocument says so of a document's name or ARN.
func isShellDocument(document string) bool {
	name := document[strings.LastIndexAny(document, ":/")+1:]
	return slices.ContainsFunc(shellDocuments, func(d string) bool { return strings.EqualFold(d, name) })
}

// plainly changes the template so that a value which a shell could take for code is
// an error. Text of the configuration itself stays as it is.
func plainly(t *template.Template) {
	t.Funcs(template.FuncMap{"plain": plain})
	call := &nodes.CommandNode{NodeType: nodes.NodeCommand, Args: []nodes.Node{nodes.NewIdentifier("plain")}}
	for _, defined := range t.Templates() {
		if defined.Tree == nil {
			continue
		}
		each(defined.Root, func(node nodes.Node) {
			if n, ok := node.(*nodes.ActionNode); ok && len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, call)
			}
		})
	}
}

func plain(value any) (string, error) {
	text := fmt.Sprint(value)
	if i := strings.IndexFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_./:@%+=,-", r)
	}); i >= 0 {
		return "", notPlainError{text}
	}
	return text, nil
}

// notPlainError says that a template writes text that may be code.
type notPlainError struct{ text string }

func (e notPlainError) Error() string {
	return fmt.Sprintf("%.40q may be code to the shell of this document, which quotes nothing: want only A-Z a-z 0-9 _ . / : @ %% + = , - in it, or use script or cmd, which quote", e.text)
}
