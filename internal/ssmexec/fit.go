package ssmexec

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/amx-lambda/amx/internal/amx"
)

// A fitter finds the variables that a request can carry.
type fitter struct {
	job  Job
	size func(variables string) (int, error) // of the request with them, in bytes
}

// fit answers the shell text of the variables of as many of the run's alerts
// as a request can carry, the first ones. AMX_ALERT_LEN counts the alerts that
// are there, AMX_ALERT_TOTAL those of the run. Where not even the variables of
// the group fit, the largest are left out: the command runs all the same.
func (f fitter) fit() (text string, notes []string, err error) {
	total := len(f.job.Data.Alerts)
	vars, notes := f.variables(total)
	if text, err = f.text(vars); !errors.As(err, new(*tooLargeError)) {
		return text, notes, err
	}
	// The most alerts with which it fits; the size grows with their number.
	n := sort.Search(total, func(n int) bool {
		vars, _ := f.variables(n + 1)
		_, err := f.text(vars)
		return err != nil
	})
	vars, notes = f.variables(n)
	for {
		text, err = f.text(vars)
		if !errors.As(err, new(*tooLargeError)) || len(vars) == 0 {
			break
		}
		i := largest(vars)
		notes = append(notes, fmt.Sprintf("%s is left out: %d bytes do not fit", vars[i].Name, len(vars[i].Value)))
		vars = slices.Delete(vars, i, i+1)
	}
	return text, append(notes, fmt.Sprintf("the variables of %d of %d alerts fit; the others are left out", n, total)), err
}

// variables is those of the first n alerts, without any that no process can be
// given.
func (f fitter) variables(n int) (amx.Pairs, []string) {
	d := f.job.Data
	total := len(d.Alerts)
	d.Alerts = d.Alerts[:n]
	vars, notes := amx.Variables(d, total, f.job.Command.Name, f.job.Run)
	vars = slices.DeleteFunc(vars, func(v amx.Pair) bool {
		n := len(v.Name) + len(v.Value) + 2
		if n <= maxVariable {
			return false
		}
		notes = append(notes, fmt.Sprintf("%s is left out: %d bytes, over the %d that one environment variable can have", v.Name, n, maxVariable))
		return true
	})
	return vars, notes
}

func (f fitter) text(vars amx.Pairs) (string, error) {
	plain, readable, err := exports(vars)
	if err != nil {
		return "", err
	}
	text := plain
	if !readable {
		text = pack(plain)
	}
	n, err := f.size(text)
	if err == nil && n > maxParameters && readable {
		text = pack(plain)
		n, err = f.size(text)
	}
	if err != nil {
		return "", err
	}
	if n > maxParameters {
		return "", &tooLargeError{fmt.Sprintf("the request is %d bytes, over the %d that SSM takes beside the document", n, maxParameters)}
	}
	return text, nil
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
