package amx

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The limits of values that go into a SendCommand unchanged:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
var (
	documentName    = lazily(`^[a-zA-Z0-9_\-.:/]{3,128}$`)
	documentVersion = lazily(`^([$]LATEST|[$]DEFAULT|[1-9][0-9]*)$`)
)

func checkDocument(s string) error {
	if !documentName().MatchString(s) {
		return errors.New("want a document's name or ARN: 3 to 128 of the characters A-Z a-z 0-9 _ - . : /")
	}
	return nil
}

func checkVersion(s string) error {
	if !documentVersion().MatchString(s) {
		return errors.New(`want a version's number, or one of "$LATEST" and "$DEFAULT"`)
	}
	return nil
}

var outputKeys = []key[Output]{
	{"s3_bucket", checked(func(o *Output) *string { return &o.S3Bucket }, checkLength(3, 63))},
	{"s3_prefix", checked(func(o *Output) *string { return &o.S3Prefix }, checkLength(1, 500))},
	{"cloudwatch_log_group", checked(func(o *Output) *string { return &o.CloudWatchLogGroup }, checkLength(1, 512))},
}

func checkLength(least, most int) func(string) error {
	return func(s string) error {
		if n := utf8.RuneCountInString(s); n < least || n > most {
			return fmt.Errorf("%d characters: SSM takes %d to %d", n, least, most)
		}
		return nil
	}
}

func readOutput(r *reader, path string, n *yaml.Node, c *Command) {
	lines := readKeys(r, path, n, outputKeys, &c.Output)
	switch {
	case lines["s3_prefix"] != 0 && lines["s3_bucket"] == 0:
		r.fail(lines["s3_prefix"], path, "s3_prefix without s3_bucket: name the bucket")
	case len(lines) == 0:
		r.fail(n.Line, path, "nowhere to go: want s3_bucket, cloudwatch_log_group or both")
	}
}

// parameterName is SSM's pattern for the names of a document's parameters.
var parameterName = lazily(`^[a-zA-Z0-9]+$`)

func readParameters(r *reader, path string, n *yaml.Node, c *Command) {
	c.Parameters = map[string][]string{}
	for _, e := range r.entries(path, n) {
		if !parameterName().MatchString(e.name) {
			r.fail(e.line, path, "parameter %q: want letters and digits only", e.name)
			continue
		}
		var list []string
		templates(func(l *[]string) *[]string { return l })(r, under(path, e.name), listed(r.resolve(e.value)), &list)
		c.Parameters[e.name] = list
	}
}
