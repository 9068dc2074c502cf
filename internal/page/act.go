package page

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/amx-lambda/amx/internal/operate"
)

// maxForm is the size of a form: a notification to try is the longest.
const maxForm = 2 << 20

// act does what the operator asked, and leads back to the view before.
func (p *Page) act(w http.ResponseWriter, r *http.Request, s *session, name string) {
	run, command := r.PostForm.Get("run"), r.PostForm.Get("command")
	if run == "" && command == "" && r.PostForm.Get("all") != "yes" {
		p.failed(w, r, s, queryError{errors.New("the form names neither a run, a command nor everything")})
		return
	}
	why := strings.TrimSpace(r.PostForm.Get("why"))
	var text string
	var err error
	switch name {
	case "cancel":
		text, err = p.cancel(r, operate.CancelRequest{Run: run, Command: command, Why: why, Who: s.who})
	case "pause":
		in := operate.PauseRequest{Command: command, Why: why, Who: s.who}
		if in.For, err = operate.ParseDuration(r.PostForm.Get("for")); err != nil {
			err = queryError{err}
			break
		}
		if _, err = p.Operator.Pause(r.Context(), in); err == nil {
			text = "Paused " + subject(command) + ". Runs that go on are not stopped."
		}
	case "resume":
		if _, err = p.Operator.Resume(r.Context(), operate.ResumeRequest{Command: command, Who: s.who}); err == nil {
			text = "Resumed " + subject(command) + "."
		}
	}
	bad := false
	if err != nil {
		bad, text = true, sentence(err.Error())+"."
	}
	p.sessions.say(s, bad, text)
	http.Redirect(w, r, local(r.PostForm.Get("back")), http.StatusSeeOther)
}

func subject(command string) string {
	if command == "" {
		return "everything"
	}
	return command
}

func (p *Page) cancel(r *http.Request, in operate.CancelRequest) (string, error) {
	out, err := p.Operator.Cancel(r.Context(), in)
	if err != nil {
		return "", err
	}
	text, err := Asked(out)
	if err != nil {
		return "", err
	}
	return text + " A run's page says when it has.", nil
}

// Asked says what became of a cancel, or what of it failed.
func Asked(out operate.Cancelled) (string, error) {
	var failed []string
	for _, one := range out.Runs {
		if one.Error != "" {
			failed = append(failed, one.Run+": "+one.Error)
		}
	}
	if len(failed) > 0 {
		return "", fmt.Errorf("%d of %s could not be cancelled: %s", len(failed), plural(len(out.Runs), "run"), strings.Join(failed, "; "))
	}
	return "Asked " + plural(len(out.Runs), "run") + " to stop.", nil
}
