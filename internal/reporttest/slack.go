package reporttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
)

// SlackToken is the only one that the stand-in takes.
const SlackToken = "xoxb-1111-stand-in"

// A SlackMessage is what people would see.
type SlackMessage struct {
	Channel string // its ID
	TS      string
	Thread  string // the ts of the message that it replies to, or ""
	Text    string
	Blocks  []json.RawMessage
	Updates int
}

// A SlackFile is one that was uploaded.
type SlackFile struct {
	ID, Name, Title, AltText string
	Length                   int
	Content                  []byte
	Completed                bool
	// busy is for how many messages it is not processed yet.
	busy int
}

// Slack is a workspace with the channels #alerts (C0ALERTS) and, to which the app
// is not invited, #private (C0PRIVATE).
type Slack struct {
	Faults
	URL string // of its API, with a slash at the end

	// Processing is for how many messages a new file is refused.
	Processing int
	// Told is called after each message that is posted or updated; nil: nobody
	// is. It is set before the first call.
	Told func()

	mu       sync.Mutex
	clock    int
	messages []*SlackMessage
	byID     map[string]*SlackMessage // :: client_msg_id
	files    map[string]*SlackFile
	wrong    []string
}

// NewSlack starts a workspace; close ends it.
func NewSlack() (s *Slack, stop func()) {
	s = &Slack{byID: map[string]*SlackMessage{}, files: map[string]*SlackFile{}}
	mux := http.NewServeMux()
	for name, handle := range map[string]func(*http.Request) (map[string]any, string){
		"chat.postMessage":             s.postMessage,
		"chat.update":                  s.update,
		"files.getUploadURLExternal":   s.uploadURL,
		"files.completeUploadExternal": s.completeUpload,
	} {
		mux.HandleFunc("POST /api/"+name, s.api(handle))
	}
	mux.HandleFunc("POST /upload/{id}", s.upload)
	mux.HandleFunc("POST /services/hook", s.hook)
	server := httptest.NewServer(s.around(mux))
	s.URL = server.URL + "/api/"
	return s, server.Close
}

// HookURL is the URL of an incoming webhook into #alerts.
func (s *Slack) HookURL() string { return strings.TrimSuffix(s.URL, "api/") + "services/hook" }

// Messages are all that people see, in order.
func (s *Slack) Messages() []SlackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]SlackMessage, len(s.messages))
	for i, m := range s.messages {
		all[i] = *m
	}
	return all
}

// Files are those that were uploaded to the end.
func (s *Slack) Files() []SlackFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []SlackFile
	for i := range len(s.files) {
		if f := s.files[fmt.Sprintf("F%03d", i+1)]; f.Completed {
			all = append(all, *f)
		}
	}
	return all
}

// Wrong lists what no client of Slack may send.
func (s *Slack) Wrong() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.wrong...)
}

// api answers as Slack's methods do: 200, and whether it is ok in the body.
func (s *Slack) api(handle func(*http.Request) (map[string]any, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = r.ParseForm()
		answer, code := map[string]any{}, "invalid_auth"
		if r.PostForm.Get("token") == SlackToken || r.Header.Get("Authorization") == "Bearer "+SlackToken {
			s.mu.Lock()
			answer, code = handle(r)
			s.mu.Unlock()
			if s.Told != nil && code == "" && strings.HasPrefix(r.URL.Path, "/api/chat.") {
				defer s.Told()
			}
		}
		if code != "" {
			answer = map[string]any{"ok": false, "error": code}
		} else {
			answer["ok"] = true
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (s *Slack) postMessage(r *http.Request) (map[string]any, string) {
	channel, code := channelOf(r.PostForm.Get("channel"))
	if code != "" {
		return nil, code
	}
	if m := s.byID[r.PostForm.Get("client_msg_id")]; m != nil {
		return map[string]any{"channel": m.Channel, "ts": m.TS}, ""
	}
	blocks, code := s.blocks(r.PostForm.Get("text"), r.PostForm.Get("blocks"))
	if code != "" {
		return nil, code
	}
	thread := r.PostForm.Get("thread_ts")
	if thread != "" && s.find(channel, thread) == nil {
		return nil, "thread_not_found"
	}
	m := s.add(channel, thread, r.PostForm.Get("text"), blocks)
	if id := r.PostForm.Get("client_msg_id"); id != "" {
		s.byID[id] = m
	}
	return map[string]any{"channel": channel, "ts": m.TS}, ""
}

func (s *Slack) add(channel, thread, text string, blocks []json.RawMessage) *SlackMessage {
	s.clock++
	m := &SlackMessage{Channel: channel, TS: fmt.Sprintf("1764331200.%06d", s.clock), Thread: thread, Text: text, Blocks: blocks}
	s.messages = append(s.messages, m)
	return m
}

func (s *Slack) update(r *http.Request) (map[string]any, string) {
	channel := r.PostForm.Get("channel")
	if strings.HasPrefix(channel, "#") {
		return nil, "channel_not_found" // chat.update takes IDs only
	}
	m := s.find(channel, r.PostForm.Get("ts"))
	if m == nil {
		return nil, "message_not_found"
	}
	blocks, code := s.blocks(r.PostForm.Get("text"), r.PostForm.Get("blocks"))
	if code != "" {
		return nil, code
	}
	m.Text, m.Blocks = r.PostForm.Get("text"), blocks
	m.Updates++
	return map[string]any{"channel": channel, "ts": m.TS, "text": m.Text}, ""
}

// Delete removes a message, as a person may.
func (s *Slack) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.messages {
		if m.TS == ts {
			s.messages = append(s.messages[:i], s.messages[i+1:]...)
			return
		}
	}
}

func (s *Slack) find(channel, ts string) *SlackMessage {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts {
			return m
		}
	}
	return nil
}

func channelOf(name string) (id, code string) {
	switch name {
	case "#alerts", "C0ALERTS":
		return "C0ALERTS", ""
	case "#private", "C0PRIVATE":
		return "", "not_in_channel"
	}
	return "", "channel_not_found"
}

// hook is an incoming webhook: JSON, and the answer "ok" or a word in plain text.
func (s *Slack) hook(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Text   string          `json:"text"`
		Blocks json.RawMessage `json:"blocks"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	blocks, code := s.blocks(body.Text, string(body.Blocks))
	if code != "" {
		http.Error(w, code, http.StatusBadRequest)
		return
	}
	s.add("C0ALERTS", "", body.Text, blocks)
	_, _ = io.WriteString(w, "ok")
}

// The upload in two steps: https://docs.slack.dev/messaging/working-with-files#upload

func (s *Slack) uploadURL(r *http.Request) (map[string]any, string) {
	length, err := strconv.Atoi(r.PostForm.Get("length"))
	if err != nil || length <= 0 || r.PostForm.Get("filename") == "" {
		return nil, "invalid_arguments"
	}
	f := &SlackFile{
		ID: fmt.Sprintf("F%03d", len(s.files)+1), Name: r.PostForm.Get("filename"),
		AltText: r.PostForm.Get("alt_txt"), Length: length, busy: s.Processing,
	}
	if len([]rune(f.AltText)) > 1000 {
		return nil, "alt_txt_too_large"
	}
	s.files[f.ID] = f
	return map[string]any{"file_id": f.ID, "upload_url": strings.TrimSuffix(s.URL, "api/") + "upload/" + f.ID}, ""
}

func (s *Slack) upload(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[r.PathValue("id")]
	part, _, err := r.FormFile("file")
	if f == nil || err != nil {
		http.Error(w, "no file", http.StatusBadRequest)
		return
	}
	if f.Content, err = io.ReadAll(part); err != nil || len(f.Content) != f.Length {
		http.Error(w, "not as long as was said", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "OK - %d", len(f.Content))
}

func (s *Slack) completeUpload(r *http.Request) (map[string]any, string) {
	var files []struct{ ID, Title string }
	if json.Unmarshal([]byte(r.PostForm.Get("files")), &files) != nil || len(files) == 0 {
		return nil, "invalid_arguments"
	}
	var done []map[string]string
	for _, given := range files {
		f := s.files[given.ID]
		if f == nil || f.Content == nil {
			return nil, "file_not_found"
		}
		f.Title, f.Completed = given.Title, true
		done = append(done, map[string]string{"id": f.ID, "title": f.Title})
	}
	return map[string]any{"files": done}, ""
}
