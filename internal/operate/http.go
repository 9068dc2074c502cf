package operate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// Prefix begins every path of the interface.
const Prefix = "/api/v1/"

// maxBody limits the size of a request's body, which has a reason and some names.
const maxBody = 64 << 10

// The bodies of requests.
type (
	cancelBody struct {
		Run     string `json:"run"`
		Command string `json:"command"`
		Why     string `json:"why"`
	}
	pauseBody struct {
		Command string `json:"command"`
		For     string `json:"for"`
		Why     string `json:"why"`
	}
	resumeBody struct {
		Command string `json:"command"`
	}
)

// The bodies of answers that are not a type of their own.
type (
	pageBody struct {
		Runs []history.Record `json:"runs"`
		Next string           `json:"next,omitempty"`
	}
	pausedBody struct {
		Paused []Pause `json:"paused"`
	}
	errorBody struct {
		Error string `json:"error"`
	}
)

// Handler serves an operator under [Prefix]. who names the caller of a request. The caller
// has to be authenticated before.
func Handler(o Operator, who func(*http.Request) string, now func() time.Time) http.Handler {
	h := handler{o, who, now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Prefix+"runs", h.runs)
	mux.HandleFunc("GET "+Prefix+"runs/{run}", h.run)
	mux.HandleFunc("GET "+Prefix+"status", h.status)
	mux.HandleFunc("POST "+Prefix+"cancel", h.cancel)
	mux.HandleFunc("POST "+Prefix+"pause", h.pause)
	mux.HandleFunc("POST "+Prefix+"resume", h.resume)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answerError(w, http.StatusNotFound, fmt.Errorf("%s %s: there is no such call; docs/api.md lists them", r.Method, r.URL.Path))
	})
	return mux
}

type handler struct {
	operator Operator
	who      func(*http.Request) string
	now      func() time.Time
}

func (h handler) runs(w http.ResponseWriter, r *http.Request) {
	q, err := ParseQuery(r.URL.Query(), h.now())
	if err != nil {
		answerError(w, http.StatusBadRequest, err)
		return
	}
	page, err := h.operator.Runs(r.Context(), q)
	if page.Records == nil {
		page.Records = []history.Record{}
	}
	answer(w, pageBody{page.Records, page.Next}, err)
}

func (h handler) run(w http.ResponseWriter, r *http.Request) {
	d, err := h.operator.Run(r.Context(), r.PathValue("run"))
	answer(w, d, err)
}

func (h handler) status(w http.ResponseWriter, r *http.Request) {
	s, err := h.operator.Status(r.Context())
	answer(w, s, err)
}

func (h handler) cancel(w http.ResponseWriter, r *http.Request) {
	var in cancelBody
	if !read(w, r, &in) {
		return
	}
	out, err := h.operator.Cancel(r.Context(), CancelRequest{Run: in.Run, Command: in.Command, Why: in.Why, Who: h.who(r)})
	answer(w, out, err)
}

func (h handler) pause(w http.ResponseWriter, r *http.Request) {
	var in pauseBody
	if !read(w, r, &in) {
		return
	}
	length, err := ParseDuration(in.For)
	if err != nil {
		answerError(w, http.StatusBadRequest, fmt.Errorf("for: %w", err))
		return
	}
	paused, err := h.operator.Pause(r.Context(), PauseRequest{Command: in.Command, For: length, Why: in.Why, Who: h.who(r)})
	answer(w, pausedBody{paused}, err)
}

func (h handler) resume(w http.ResponseWriter, r *http.Request) {
	var in resumeBody
	if !read(w, r, &in) {
		return
	}
	paused, err := h.operator.Resume(r.Context(), ResumeRequest{Command: in.Command, Who: h.who(r)})
	answer(w, pausedBody{paused}, err)
}

// read reads a body of JSON. A field that does not exist is an error: a typing
// error in "command" would otherwise pause everything.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		answerError(w, http.StatusBadRequest, fmt.Errorf("reading the body, a JSON object: %w", err))
		return false
	}
	return true
}

// answer writes the value, or the error:
//
//	400  the request is wrong
//	404  there is no such run
//	409  there is nothing to do
//	500  anything else: asking again may help
func answer(w http.ResponseWriter, v any, err error) {
	switch {
	case err == nil:
		write(w, http.StatusOK, v)
	case errors.As(err, new(InvalidError)):
		answerError(w, http.StatusBadRequest, err)
	case errors.Is(err, history.ErrNotFound):
		answerError(w, http.StatusNotFound, err)
	case errors.Is(err, ErrNothing):
		answerError(w, http.StatusConflict, err)
	default:
		answerError(w, http.StatusInternalServerError, err)
	}
}

func answerError(w http.ResponseWriter, status int, err error) {
	write(w, status, errorBody{err.Error()})
}

func write(w http.ResponseWriter, status int, v any) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // people read it, and it is no HTML page
	if err := e.Encode(v); err != nil {
		status = http.StatusInternalServerError
		text.Reset()
		text.WriteString(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

// ParseQuery reads the parameters of a list: since (a duration back from now, or
// a time in RFC 3339), command, state, alert (label=value, repeated: all must
// hold), limit and cursor.
func ParseQuery(v url.Values, now time.Time) (q history.Query, err error) {
	for name := range v {
		switch name {
		case "since", "command", "state", "alert", "limit", "cursor":
		default:
			return q, fmt.Errorf("unknown parameter %q: want since, command, state, alert, limit or cursor", name)
		}
	}
	q.Command, q.State, q.Cursor = v.Get("command"), history.State(v.Get("state")), v.Get("cursor")
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 {
			return q, fmt.Errorf("limit %q: want 1 to %d", text, history.MaxLimit)
		}
	}
	if q.Since, err = ParseSince(v.Get("since"), now); err != nil {
		return q, err
	}
	if q.Alert, err = ParseLabels(v["alert"]); err != nil {
		return q, err
	}
	return q.Normal(now)
}

// ParseSince reads a duration back from now, or a time in RFC 3339. Empty text is
// the zero time.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	back, err := ParseDuration(text)
	if err != nil || back < 0 {
		return time.Time{}, fmt.Errorf("since %q: want a duration such as 24h or 7d, or a time such as 2026-11-28T12:00:00Z", text)
	}
	return now.Add(-back), nil
}

// ParseDuration reads a duration as Go does, and days: 7d. Empty text is zero.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 100_000 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("duration %q: want a form such as 90s, 24h or 7d", text)
	}
	return d, nil
}

// ParseLabels reads label=value pairs.
func ParseLabels(pairs []string) (map[string]string, error) {
	var labels map[string]string
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("alert %q: want label=value", pair)
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[name] = value
	}
	return labels, nil
}
