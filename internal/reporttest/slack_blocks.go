package reporttest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

type textObject struct {
	Type, Text string
	Emoji      *bool
}

type block struct {
	Type      string
	BlockID   string `json:"block_id"`
	Text      *textObject
	Fields    []*textObject
	Elements  []*textObject
	AltText   string `json:"alt_text"`
	ImageURL  string `json:"image_url"`
	SlackFile *struct {
		ID string `json:"id"`
	} `json:"slack_file"`
}

// blocks checks a message against https://docs.slack.dev/reference/block-kit/blocks
// and returns its blocks, or the code with which Slack refuses it.
func (s *Slack) blocks(text, list string) ([]json.RawMessage, string) {
	if text == "" || utf8.RuneCountInString(text) > 40000 {
		return nil, s.refuse("no_text", "text of %d characters", utf8.RuneCountInString(text))
	}
	s.checkMarkup(text)
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(list), &raw); err != nil || len(raw) == 0 || len(raw) > 50 {
		return nil, s.refuse("invalid_blocks", "%d blocks", len(raw))
	}
	total := 0
	for _, one := range raw {
		var b block
		if err := json.Unmarshal(one, &b); err != nil {
			return nil, s.refuse("invalid_blocks_format", "%s", one)
		}
		if code := s.block(&b); code != "" {
			return nil, code
		}
		total += b.size()
	}
	if total > maxMessage {
		return nil, s.refuse("msg_blocks_too_long", "blocks of %d characters", total)
	}
	return raw, ""
}

// maxMessage is for all text of a message. Slack documents no number, and answered
// so from some 11,000 characters on: https://github.com/slackapi/bolt-js/issues/2867
const maxMessage = 10000

func (b *block) size() int {
	n := utf8.RuneCountInString(b.AltText)
	for _, t := range slices.Concat([]*textObject{b.Text}, b.Fields, b.Elements) {
		if t != nil {
			n += utf8.RuneCountInString(t.Text)
		}
	}
	return n
}

func (s *Slack) block(b *block) string {
	switch b.Type {
	case "header":
		return s.text(b.Text, "plain_text", 150)
	case "section":
		if b.Text == nil && len(b.Fields) == 0 || len(b.Fields) > 10 {
			return s.refuse("invalid_blocks", "a section with %d fields and no text", len(b.Fields))
		}
		if b.Text != nil {
			if code := s.text(b.Text, "mrkdwn", 3000); code != "" {
				return code
			}
		}
		for _, field := range b.Fields {
			if code := s.text(field, "mrkdwn", 2000); code != "" {
				return code
			}
		}
		return ""
	case "context":
		if len(b.Elements) == 0 || len(b.Elements) > 10 {
			return s.refuse("invalid_blocks", "a context with %d elements", len(b.Elements))
		}
		for _, element := range b.Elements {
			if code := s.text(element, "mrkdwn", 3000); code != "" {
				return code
			}
		}
		return ""
	case "image":
		return s.image(b)
	}
	return s.refuse("invalid_blocks", "a block of type %q", b.Type)
}

func (s *Slack) text(t *textObject, kind string, most int) string {
	switch {
	case t == nil, t.Type != kind, t.Text == "", utf8.RuneCountInString(t.Text) > most:
		return s.refuse("invalid_blocks", "want a %s of 1 to %d characters, not %+v", kind, most, t)
	case kind == "mrkdwn" && t.Emoji != nil:
		return s.refuse("invalid_blocks", "emoji goes with plain_text only")
	case kind == "mrkdwn":
		s.checkMarkup(t.Text)
	}
	return ""
}

// image takes a file of the app that Slack has processed.
func (s *Slack) image(b *block) string {
	if b.AltText == "" || utf8.RuneCountInString(b.AltText) > 2000 || (b.SlackFile == nil) == (b.ImageURL == "") {
		return s.refuse("invalid_blocks", "an image of %+v", b)
	}
	if b.SlackFile == nil {
		return ""
	}
	f := s.files[b.SlackFile.ID]
	if f == nil || !f.Completed {
		return s.refuse("invalid_blocks", "no file %q", b.SlackFile.ID)
	}
	if f.busy > 0 {
		f.busy--
		return "invalid_blocks"
	}
	return ""
}

// The allowed texts between < and >, and after &. None of them mentions anybody.
var (
	angle  = regexp.MustCompile(`<[^>]*>?`)
	link   = regexp.MustCompile(`^<(https?://[^|<>\s]+\|[^<>|]+|!date\^\d+\^[^|^]+\|[^>]+)>$`)
	entity = regexp.MustCompile(`&(amp;|lt;|gt;)?`)
)

// checkMarkup notes markup that can only have come from an alert's text.
func (s *Slack) checkMarkup(text string) {
	for _, found := range angle.FindAllString(text, -1) {
		if !link.MatchString(found) {
			s.wrong = append(s.wrong, fmt.Sprintf("markup that is not escaped: %q", found))
		}
	}
	for _, found := range entity.FindAllString(text, -1) {
		if found == "&" {
			s.wrong = append(s.wrong, fmt.Sprintf("an & that is not escaped in %q", text))
		}
	}
}

func (s *Slack) refuse(code, format string, args ...any) string {
	s.wrong = append(s.wrong, code+": "+fmt.Sprintf(format, args...))
	return code
}
