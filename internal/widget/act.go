package widget

import (
	"context"
	"fmt"

	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/page"
)

// maxWhy is the length of a reason, in characters.
const maxWhy = 500

// act does what a button says. Its answer is shown in a window of its own: were the
// widget replaced by it, the next refresh could do the same again.
func (w *Widget) act(ctx context.Context, v view, e event) (string, error) {
	switch {
	case w.Actor == nil:
		w.Log.WarnContext(ctx, "widget", "refused", e.do, "dashboard", e.dashboard, "account", e.account)
		return "", refusal("this widget only shows. To cancel, pause and resume here, deploy the stack with Widget=control")
	case e.own:
		// Else whoever edits a dashboard would act with the rights of whoever opens it.
		w.Log.WarnContext(ctx, "widget", "refused", e.do, "dashboard", e.dashboard, "account", e.account)
		return "", refusal(`a dashboard opened this widget with the parameter "do". Only a button does something: remove the parameter`)
	case e.run == "" && e.command == "" && !e.all:
		return "", refusal("the button names neither a run, a command nor everything")
	case e.do != "resume" && e.why == "":
		return "", refusal("say why, in the field above the buttons, and press again: it is kept in the record. Nothing was done")
	}
	e.why = page.Clip(maxWhy, e.why)
	w.Log.InfoContext(ctx, "widget", "do", e.do, "dashboard", e.dashboard, "account", e.account)
	var err error
	switch e.do {
	case "cancel":
		v.Said, err = w.cancel(ctx, e)
	case "pause":
		v.Said, err = w.pause(ctx, v, e)
	case "resume":
		_, err = w.Actor.Resume(ctx, operate.ResumeRequest{Command: e.command, Who: Who})
		v.Said = fmt.Sprintf("Resumed %s.", subject(e.command))
	default:
		err = refusal(fmt.Sprintf("there is no button %q", page.Clip(40, e.do)))
	}
	if err != nil {
		return "", err
	}
	return render("said", v)
}

func (w *Widget) cancel(ctx context.Context, e event) (string, error) {
	out, err := w.Actor.Cancel(ctx, operate.CancelRequest{Run: e.run, Command: e.command, Why: e.why, Who: Who})
	if err != nil {
		return "", err
	}
	return page.Asked(out)
}

func (w *Widget) pause(ctx context.Context, v view, e event) (string, error) {
	in := operate.PauseRequest{Command: e.command, Why: e.why, Who: Who}
	var err error
	if in.For, err = operate.ParseDuration(e.length); err != nil {
		return "", refusal(err.Error())
	}
	paused, err := w.Actor.Pause(ctx, in)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("Paused %s.", subject(e.command))
	for _, p := range paused {
		if p.Command == e.command {
			text = fmt.Sprintf("Paused %s until %s.", subject(e.command), v.At(p.Until))
		}
	}
	return text + " Runs that go on are not stopped.", nil
}

func subject(command string) string {
	if command == "" {
		return "everything"
	}
	return fmt.Sprintf("%q", page.Clip(80, command))
}
