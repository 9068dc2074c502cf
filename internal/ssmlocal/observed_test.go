package ssmlocal

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// observed is a document's parameters, and how a real agent answered them.
type observed struct {
	Parameters       map[string][]string
	Status           string
	Code             int
	Out, Err, Output text
}

// text is a string, or how long a long one is and where it begins and ends.
type text struct {
	whole             string
	Characters, Bytes int
	Head, Tail        string
}

func (x *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &x.whole)
	}
	type long text
	return json.Unmarshal(b, (*long)(x))
}

func (x *text) is(got string) bool {
	if x.Bytes == 0 {
		return got == x.whole
	}
	return len(got) == x.Bytes && utf8.RuneCountInString(got) == x.Characters &&
		strings.HasPrefix(got, x.Head) && strings.HasSuffix(got, x.Tail)
}

// theirPath is where a script was whose answer the file has.
const theirPath = "ORCHESTRATION/awsrunShellScript/0.awsrunShellScript/_script.sh"

// Standard output that differs by the machine, and has this form there.
var machines = map[string]*regexp.Regexp{
	// process IDs, whose session it is, files that the test was started with
	"noshebang": regexp.MustCompile(`^` + theirPath + `\|\n *\d+ +\d+ +\d+ +\d+ sh\n *\d+ +\d+ +\d+ +\d+ sh -c ` + theirPath + `\n$`),
	"stdin":     regexp.MustCompile(`^eof 0\n/dev/null\ntty 1\n0 1 10 ([\d ]+ )?2 ([\d ]+ )?pipe:\[\]\n$`),
	"limits":    regexp.MustCompile(`^\S+\n\S+\n\S+\n-?\d+\n-?\d+\n$`),
	// the agent's own variables beside those of the test
	"env": regexp.MustCompile(`^AWS_SSM_INSTANCE_ID AWS_SSM_PLATFORM_NAME AWS_SSM_PLATFORM_VERSION AWS_SSM_REGION_NAME PATH PWD SLEEP SSM_COMMAND_ID $`),
}

// hosts are those that have another form on this host, on purpose: its commands'
// output is in files and not in pipes, and a script for sh is read by the shell
// that the agent would start it from.
var hosts = map[string]*regexp.Regexp{
	"noshebang": regexp.MustCompile(`^` + theirPath + `\|\n *\d+ +\d+ +\d+ +\d+ sh\n`),
	"stdin":     regexp.MustCompile(`^eof 0\n/dev/null\ntty 1\n0 1 10 ([\d ]+ )?2 ([\d ]+ )?\S+/stdout\n$`),
}

// onThisHost is what else is different there, for the same reason.
var onThisHost = map[string]observed{
	"timeout5-exit0-late": ended("Success", 0, "shell-done\n", ""),
	"kill-KILL":           ended("TimedOut", 137, "out\n", ""),
	"kill-TERM":           ended("Failed", 143, "out\n", "failed to run commands: exit status 143"),
	"kill-SEGV":           ended("Failed", 139, "out\n", "failed to run commands: exit status 139"),
	"kill-HUP":            ended("Failed", 129, "out\n", "failed to run commands: exit status 129"),
	"pyshebang":           ended("Success", 0, "True False False 18 /\n", ""),
	"badshebang":          ended("Failed", 127, "", theirPath+": 1: exec: "+theirPath+": not found\nfailed to run commands: exit status 127"),
}

func ended(status string, code int, out, err string) observed {
	output := out
	if err != "" {
		output += errorsFollow + err
	}
	return observed{Status: status, Code: code, Out: text{whole: out}, Err: text{whole: err}, Output: text{whole: output}}
}

func TestTheAnswersOfARealAgent(t *testing.T) {
	b, err := os.ReadFile("testdata/amazon-ssm-agent-3.3.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases map[string]observed }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 60 {
		t.Fatalf("the file has %d cases, want 60", len(file.Cases))
	}
	o := newObservation(t)
	for _, node := range []string{web1, LocalNode} {
		t.Run(node, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(file.Cases)) {
				t.Run(name, func(t *testing.T) { o.play(t, node, name, file.Cases[name]) })
			}
		})
	}
}

// observation is a Server whose scripts have dash as sh, and a sleep that ends
// when it is told to.
type observation struct {
	*world
	lines chan OutputLine // short ones
	ended chan string     // command IDs
	sleep string          // a FIFO: each line ends one sleep
}

func newObservation(t *testing.T) *observation {
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("no dash on this machine")
	}
	bin := t.TempDir()
	o := &observation{lines: make(chan OutputLine, 1000), ended: make(chan string, 10), sleep: filepath.Join(bin, "fifo")}
	err = os.Symlink(dash, filepath.Join(bin, "sh"))
	if err == nil {
		err = os.WriteFile(filepath.Join(bin, "sleep"), []byte("#!/bin/sh\nread -r line <\"$SLEEP\"\n"), 0o700)
	}
	if err == nil {
		err = syscall.Mkfifo(o.sleep, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/") // the agent's was there
	o.world = start(t, fleet, func(options *Options) {
		options.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "SLEEP=" + o.sleep}
		options.Output = func(l OutputLine) {
			if len(l.Text) < 12 {
				o.lines <- l
			}
		}
		options.Notify = func(c StatusChange) {
			if c.InstanceID == "" {
				o.ended <- c.CommandID
			}
		}
	})
	return o
}

func (o *observation) play(t *testing.T, node, name string, want observed) {
	for program, needed := range map[string]string{"python3": "pyshebang", "bash": "bashshebang", "ps": "noshebang"} {
		if _, err := exec.LookPath(program); err != nil && name == needed {
			t.Skip("no " + program + " on this machine")
		}
	}
	o.t = t
	in := &ssm.SendCommandInput{DocumentName: script().DocumentName, InstanceIds: []string{node}, Parameters: want.Parameters}
	id := o.send(in)
	o.server.mu.Lock()
	inv := o.server.commands[id].invocations[0]
	o.server.mu.Unlock()
	o.helpAlong(name, inv)
	for got := range o.ended {
		if got == id {
			break
		}
	}
	if name == "bgnohup" || !isAgent(node) && strings.HasPrefix(name, "bg") || !isAgent(node) && name == "timeout5-exit0-late" {
		o.wake()
	}
	if special, ok := onThisHost[name]; ok && !isAgent(node) {
		want = special
	}
	if name == "signals" { // what whoever started this test ignores, its children ignore
		for _, x := range []*text{&want.Out, &want.Output} {
			x.whole = strings.ReplaceAll(x.whole, "SigIgn:\t0000000000000000", ignored(t))
		}
	}
	o.compare(name, inv, want)
}

// ignored is the line of /proc that says which signals this process ignores.
func ignored(t *testing.T) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc on this machine")
	}
	_, after, _ := strings.Cut(string(status), "SigIgn:")
	line, _, _ := strings.Cut(after, "\n")
	return "SigIgn:" + line
}

// helpAlong does what time did to some of the documents.
func (o *observation) helpAlong(name string, inv *invocation) {
	switch name {
	case "timeout5":
		o.waitFor(inv, "out")
		o.timeOut(inv)
	case "timeout5-exit0-late":
		o.waitFor(inv, "shell-done")
		if isAgent(inv.node) {
			o.shellEnds(inv)
			o.timeOut(inv)
		}
	case "bgstdout", "bgsetsid":
		o.waitFor(inv, "done")
		if isAgent(inv.node) {
			o.shellEnds(inv)
			o.wake()
		}
	}
}

func (o *observation) waitFor(inv *invocation, line string) {
	for got := range o.lines {
		if got.CommandID == inv.command.id && got.Text == line {
			return
		}
	}
}

// wake ends a sleep; it waits until there is one.
func (o *observation) wake() {
	if err := os.WriteFile(o.sleep, []byte("\n"), 0); err != nil {
		o.t.Error(err)
	}
}

func (o *observation) pass(inv *invocation) *pass {
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	return inv.run
}

func (o *observation) timeOut(inv *invocation) { o.server.timeout(o.pass(inv)) }

// shellEnds waits until the shell has ended, and sees that its command has not.
func (o *observation) shellEnds(inv *invocation) {
	waitExit(o.pass(inv).pid)
	if got := o.look(inv.command.id); got.Status != "InProgress" {
		o.t.Errorf("its child has the output open, and the command is %s", got.Status)
	}
}

func (o *observation) compare(name string, inv *invocation, want observed) {
	o.t.Helper()
	shown := o.look(inv.command.id)
	got := o.server.outputOf(inv, inv.code, inv.note)
	script := filepath.Join(o.server.folder(inv), "_script.sh")
	clean := func(s string) string {
		s = string([]rune(s)) // as JSON has it
		return strings.ReplaceAll(s, script, theirPath)
	}
	form := machines[name]
	if !isAgent(inv.node) && hosts[name] != nil {
		form = hosts[name]
	}
	if form != nil {
		if !form.MatchString(clean(got.stdout)) || got.stderr != "" || shown.Status != "Success" {
			o.t.Errorf("it is %s, with %q and %q", shown.Status, clean(got.stdout), got.stderr)
		}
		return
	}
	if string(shown.Status) != want.Status || inv.code != want.Code {
		o.t.Errorf("it is %s with code %d, want %s with %d", shown.Status, inv.code, want.Status, want.Code)
	}
	for _, part := range []struct {
		name, got string
		want      text
	}{{"StandardOutput", clean(got.stdout), want.Out}, {"StandardError", clean(got.stderr), want.Err}, {"Output", clean(*shown.CommandPlugins[0].Output), want.Output}} {
		if !part.want.is(part.got) {
			o.t.Errorf("%s has %d bytes: %.300q\nwant %.300q", part.name, len(part.got), part.got, part.want.whole+part.want.Head)
		}
	}
}
