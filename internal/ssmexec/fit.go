package ssmexec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

// A language writes scripts for a kind of node.
type language interface {
	// variables are the AMX_* variables as such a node tells their names apart.
	variables(d amx.Data, total int, command, run string) (vars amx.Pairs, notes []string)
	// assign is the variables as text, and whether a person can read it. All
	// of their values are quoted: alert text is data, never code.
	assign(vars amx.Pairs) (text string, readable bool, err error)
	// longest is how many bytes a variable may have, with its name.
	longest() int
	// pack is text that evaluates text, or fails and says that it cannot unpack
	// what it is.
	pack(what, text string) string
	// execution is the part of a script that runs the command.
	execution(c *amx.Command, args []string) (string, error)
	// after goes before the execution of a run that another came before: it ends
	// the script, with exit code 75, where that one still goes on.
	after(prev string) string
	// script is a whole script.
	script(token Token, variables, execution string) string
}

// A fitter finds the variables that a request can carry.
type fitter struct {
	job  Job
	in   language
	size func(variables string) (int, error) // of the request with them, in bytes

	all     amx.Pairs // of all alerts; those that no process can be given are gone
	notes   []string
	packed  int   // bytes of a request whose variables are packed, without them
	through []int // bytes of the variables of the group and the first n alerts
}

// fit answers the shell text of the variables of as many of the run's alerts
// as a request can carry, the first ones. AMX_ALERT_LEN counts the alerts that
// are there, AMX_ALERT_TOTAL those of the run. Where not even one alert fits,
// the largest variables are left out: the command runs all the same.
func (f fitter) fit() (fitted, error) {
	if err := f.prepare(); err != nil {
		return fitted{}, err
	}
	total := len(f.job.Data.Alerts)
	vars := f.first(total)
	text, size, err := f.text(vars)
	if err != nil || size <= maxParameters {
		return fitted{text, vars, f.notes}, err
	}
	n, text, err := f.most(total, size)
	vars = f.first(n)
	if err == nil && n == 0 {
		n = min(1, total)
		text, vars, err = f.withoutLargest(f.first(n))
	}
	if n < total {
		f.notes = append(f.notes, fmt.Sprintf("the variables of %d of %d alerts fit; the others are left out", n, total))
	}
	return fitted{text, vars, f.notes}, err
}

// fitted is the variables that a request carries: as shell text, one by one, and
// what is to be said of those that it does not.
type fitted struct {
	text  string
	vars  amx.Pairs
	notes []string
}

func (f *fitter) pack(text string) string { return f.in.pack("the variables", text) }

func (f *fitter) prepare() (err error) {
	d := f.job.Data
	f.all, f.notes = f.in.variables(d, len(d.Alerts), f.job.Command.Name, f.job.Run)
	f.through = make([]int, len(d.Alerts)+1)
	f.all = slices.DeleteFunc(f.all, func(v amx.Pair) bool {
		n := len(v.Name) + len(v.Value) + 2
		if n > f.in.longest() {
			f.notes = append(f.notes, fmt.Sprintf("%s is left out: %d bytes, over the %d that one environment variable can have", v.Name, n, f.in.longest()))
			return true
		}
		f.through[alertOf(v.Name)] += n
		return false
	})
	for i := 1; i < len(f.through); i++ {
		f.through[i] += f.through[i-1]
	}
	f.packed, err = f.size(f.pack(""))
	return err
}

// most is how many alerts fit, at least nearly: the size grows about evenly with
// their number, so that a few tries find it.
func (f *fitter) most(total, size int) (n int, text string, err error) {
	low, lowSize, high, highSize := 0, f.packed, total, size
	if n, _ := slices.BinarySearch(f.through, maxVariables+1); n < high {
		high, highSize = n, 0 // unknown
	}
	for high-low > 1 && lowSize < maxParameters/100*98 {
		guess := (low + high) / 2
		if highSize > lowSize {
			guess = low + (maxParameters-lowSize)*(high-low)/(highSize-lowSize)
		}
		guess = min(max(guess, low+1), high-1)
		t, size, err := f.text(f.first(guess))
		switch {
		case err != nil:
			return 0, "", err
		case size <= maxParameters:
			low, lowSize, text = guess, size, t
		default:
			high, highSize = guess, size
		}
	}
	return low, text, nil
}

// first is the variables of the group and of the first n alerts.
func (f *fitter) first(n int) amx.Pairs {
	vars := make(amx.Pairs, 0, len(f.all))
	for _, v := range f.all {
		if v.Name == "AMX_ALERT_LEN" {
			v.Value = strconv.Itoa(n)
		}
		if alertOf(v.Name) <= n {
			vars = append(vars, v)
		}
	}
	return vars
}

// alertOf is the number of the alert that a variable is about, from 1; 0 for the
// group.
func alertOf(name string) int {
	rest, _ := strings.CutPrefix(name, "AMX_ALERT_")
	digits, _, _ := strings.Cut(rest, "_")
	n, err := strconv.Atoi(digits)
	if err != nil || len(rest) == len(name) {
		return 0
	}
	return n
}

func (f *fitter) withoutLargest(vars amx.Pairs) (text string, rest amx.Pairs, err error) {
	for {
		text, size, err := f.text(vars)
		switch {
		case err != nil || size <= maxParameters:
			return text, vars, err
		case len(vars) == 0:
			return "", nil, fmt.Errorf("the request is %d bytes, over the %d that SSM takes beside the document", size, maxParameters)
		}
		i := largest(vars)
		f.notes = append(f.notes, fmt.Sprintf("%s is left out: %d bytes do not fit", vars[i].Name, len(vars[i].Value)))
		vars = slices.Delete(vars, i, i+1)
	}
}

func largest(vars amx.Pairs) int {
	at := 0
	for i, v := range vars {
		if len(v.Value) > len(vars[at].Value) {
			at = i
		}
	}
	return at
}

// text is the variables as they go into the request, and the size of that in
// bytes.
func (f *fitter) text(vars amx.Pairs) (text string, size int, err error) {
	bytes := 0
	for _, v := range vars {
		bytes += len(v.Name) + len(v.Value) + 2
	}
	if bytes > maxVariables {
		return "", maxParameters + bytes, nil
	}
	plain, readable, err := f.in.assign(vars)
	if err != nil {
		return "", 0, err
	}
	if readable && len(plain) <= maxReadable {
		if size, err = f.size(plain); err != nil || size <= maxParameters {
			return plain, size, err
		}
	}
	text = f.pack(plain)
	return text, f.packed + len(text) - len(f.pack("")), nil
}
