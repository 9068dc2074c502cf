package widget

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A refusal is a call that is wrong in itself.
type refusal string

func (r refusal) Error() string { return string(r) }

// An event is a call of a dashboard: the parameters of the widget or of the button
// that was pressed, and widgetContext, which has what was typed into the widget's
// forms.
type event struct {
	describe bool

	run, command string
	do           string // cancel, pause, resume
	all          bool   // of everything

	why, length string // typed

	own                bool // do is among the parameters of the widget itself
	theme              string
	zone               *time.Location
	dashboard, account string
}

func decode(text json.RawMessage) (e event, err error) {
	var given fields
	if err := json.Unmarshal(text, &given); err != nil {
		return e, refusal(fmt.Sprintf("this is not a call of a dashboard of CloudWatch: %v", err))
	}
	about := given.object("widgetContext")
	typed := about.object("forms").object("all")
	e = event{
		describe: given.is("describe"), run: given.text("run"), command: given.text("command"), do: given.text("do"), all: given.is("all"),
		why: strings.Join(strings.Fields(typed.text("why")), " "), length: typed.text("for"),
		own: about.object("params").has("do"), theme: about.text("theme"), zone: zone(about.object("timezone").text("offsetISO")),
		dashboard: about.text("dashboardName"), account: about.text("accountId"),
	}
	return e, nil
}

// fields are those of a JSON object. Whoever makes a widget may give it any
// parameters: one of another type is as if it were not there.
type fields map[string]json.RawMessage

func (f fields) has(name string) bool { _, ok := f[name]; return ok }

func (f fields) text(name string) (s string) {
	if json.Unmarshal(f[name], &s) != nil {
		return ""
	}
	return s
}

func (f fields) object(name string) (o fields) {
	if json.Unmarshal(f[name], &o) != nil {
		return nil
	}
	return o
}

// is tells what counts as true in JavaScript, as AWS's own widgets read it.
func (f fields) is(name string) bool {
	switch string(f[name]) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// zone is the dashboard's, of an offset such as +02:00; UTC without one.
func zone(offset string) *time.Location {
	t, err := time.Parse("-07:00", offset)
	if err != nil || offset == "+00:00" {
		return time.UTC
	}
	_, seconds := t.Zone()
	return time.FixedZone("UTC"+offset, seconds)
}
