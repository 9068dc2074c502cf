package main

import "gopkg.in/yaml.v3"

// written is a node with its aliases and merges written out, which ParseConfig
// has found to be no more than a file may unfold to.
func written(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := *n
	out.Anchor, out.Content = "", nil
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			out.Content = append(out.Content, written(c))
		}
		return &out
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			merged = append(merged, sources(n.Content[i+1])...)
			continue
		}
		out.Content = append(out.Content, written(n.Content[i]), written(n.Content[i+1]))
	}
	for _, m := range merged { // a mapping's own keys go first, then the earlier merge's
		for i := 0; i+1 < len(m.Content); i += 2 {
			if valueOf(&out, m.Content[i].Value) == nil {
				out.Content = append(out.Content, m.Content[i], m.Content[i+1])
			}
		}
	}
	return &out
}

// sources are the mappings that a merge names: one, or a list.
func sources(n *yaml.Node) []*yaml.Node {
	w := written(n)
	if w.Kind == yaml.SequenceNode {
		return w.Content
	}
	return []*yaml.Node{w}
}

// valueOf is the value of a mapping's key; nil: it has none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}
