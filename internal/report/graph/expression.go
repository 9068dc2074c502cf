package graph

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

// Annotation names the annotation with the expression to draw, if another one than the
// alert's own helps people more.
const Annotation = "amx_query"

// ExpressionOf returns the PromQL expression of an alert: its annotation amx_query, or
// else g0.expr of its generatorURL, which Prometheus and AMP set. It returns "" if the
// alert has neither.
func ExpressionOf(a *amx.Alert) string {
	if expr := strings.TrimSpace(a.Annotations[Annotation]); expr != "" {
		return expr
	}
	u, err := url.Parse(a.GeneratorURL)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(u.Query().Get("g0.expr"))
}

// A Threshold is the constant that an expression compares with.
type Threshold struct {
	Operator string // > >= < <= == !=, with the constant on its right
	Value    float64
}

func (t Threshold) String() string {
	return t.Operator + " " + strconv.FormatFloat(t.Value, 'g', 6, 64)
}

// Split separates an expression such as `rate(errors[5m]) > 0.1` into its left side and
// the threshold. A picture needs the left side, because Prometheus returns no values for
// times at which the comparison does not hold. Split returns an expression of another
// form as it is, without a threshold.
func Split(expr string) (string, *Threshold) {
	expr = unwrapped(expr)
	found := comparisons(expr)
	if len(found) != 1 {
		return expr, nil
	}
	c := found[0]
	left, right := strings.TrimSpace(expr[:c.at]), strings.TrimSpace(expr[c.at+len(c.operator):])
	if value, ok := number(right); ok && left != "" {
		return left, &Threshold{c.operator, value}
	}
	if value, ok := number(left); ok && right != "" && !strings.HasPrefix(right, "bool") {
		return right, &Threshold{mirrored[c.operator], value}
	}
	return expr, nil
}

var mirrored = map[string]string{">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}

// unwrapped is expr without parentheses around all of it.
func unwrapped(expr string) string {
	for {
		expr = strings.TrimSpace(expr)
		if !strings.HasPrefix(expr, "(") || closing(expr) != len(expr)-1 {
			return expr
		}
		expr = expr[1 : len(expr)-1]
	}
}

// closing is the place of the parenthesis that closes the first character's.
func closing(expr string) int {
	place := -1
	scan(expr, func(i, depth int) bool {
		if depth == 0 && expr[i] == ')' {
			place = i
			return false
		}
		return true
	})
	return place
}

type comparison struct {
	at       int
	operator string
}

// comparisons returns the comparison operators outside of all brackets, in order. With a
// set operator beside them, no single comparison stands for the expression, so it
// returns none.
func comparisons(expr string) []comparison {
	var found []comparison
	next := 0
	scan(expr, func(i, depth int) bool {
		if depth != 0 || i < next {
			return true
		}
		if op := operatorAt(expr, i); op != "" {
			found = append(found, comparison{i, op})
			next = i + len(op)
			return true
		}
		for _, word := range []string{"and", "or", "unless"} {
			if wordAt(expr, i, word) {
				found = nil
				return false
			}
		}
		return true
	})
	return found
}

func operatorAt(expr string, i int) string {
	for _, op := range []string{">=", "<=", "==", "!=", ">", "<"} {
		if strings.HasPrefix(expr[i:], op) {
			return op
		}
	}
	return ""
}

func wordAt(expr string, i int, word string) bool {
	end := i + len(word)
	return end <= len(expr) && strings.EqualFold(expr[i:end], word) &&
		(i == 0 || !inName(expr[i-1])) && (end == len(expr) || !inName(expr[end]))
}

func inName(c byte) bool {
	return c == '_' || c == ':' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// scan calls visit for each byte of expr outside of quotes and comments, with the depth
// of brackets around it, until visit returns false. A closing bracket has the depth
// outside of it.
func scan(expr string, visit func(i, depth int) bool) {
	depth := 0
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; c {
		case '"', '\'', '`':
			i = quoteEnd(expr, i)
			continue
		case '#':
			line := strings.IndexByte(expr[i:], '\n')
			if line < 0 {
				return
			}
			i += line
			continue
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if !visit(i, depth) {
			return
		}
	}
}

// quoteEnd is the place of the quote that ends the string which begins at i.
func quoteEnd(expr string, i int) int {
	quote := expr[i]
	for i++; i < len(expr); i++ {
		switch {
		case expr[i] == quote:
			return i
		case expr[i] == '\\' && quote != '`':
			i++
		}
	}
	return len(expr)
}

// number reads a constant: a number, or a product or quotient of numbers such as
// 10 * 1024 * 1024.
func number(text string) (float64, bool) {
	text = unwrapped(text)
	value, divide := 1.0, false
	for {
		i := strings.IndexAny(text, "*/")
		part := text
		if i >= 0 {
			part = text[:i]
		}
		factor, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return 0, false
		}
		if divide {
			value /= factor
		} else {
			value *= factor
		}
		if i < 0 {
			return value, value == value && value-value == 0 // neither NaN nor infinite
		}
		divide, text = text[i] == '/', text[i+1:]
	}
}
