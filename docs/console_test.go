package docs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// command is what a document has its reader type.
type command struct {
	line int
	text string // several lines where it goes on
}

// commands are those of a document, in order: the lines of console blocks that
// begin with "$ ", and what follows a line that cannot end a command.
func commands(text string) []command {
	var found []command
	for _, b := range blocks(text) {
		if b.language != "console" {
			continue
		}
		goesOn := false
		for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
			typed, begins := strings.CutPrefix(line, "$ ")
			switch {
			case begins:
				found = append(found, command{b.line + 1 + i, typed})
			case goesOn:
				found[len(found)-1].text += "\n" + line
			default: // what the command prints
				continue
			}
			end := strings.TrimSpace(line)
			goesOn = strings.HasSuffix(end, `\`) || strings.HasSuffix(end, "|") || strings.HasSuffix(end, "&&")
		}
	}
	return found
}

var inline = regexp.MustCompile("`((?:aws|sam) [^`…]+ --[^`…]+)`")

// inlineCommands are those that stand whole in a sentence or a table.
func inlineCommands(text string) []command {
	var found []command
	for _, at := range inline.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, command{1 + strings.Count(text[:at[0]], "\n"), text[at[2]:at[3]]})
	}
	return found
}

var calledOnNode = regexp.MustCompile(`(?m)^i-[0-9a-f]{17}\$ (aws .*)$`)

// onNodes are the calls of AWS's command line that a recipe shows on its nodes.
func onNodes(text string) []command {
	var found []command
	for _, at := range calledOnNode.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, command{1 + strings.Count(text[:at[0]], "\n"), text[at[2]:at[3]]})
	}
	return found
}

// onAWS are the documents whose commands are all typed, one after another. The other
// documents have some of AWS's own, which are typed, too.
var onAWS = []string{"first-steps.md", "deploy.md", "amp.md", "security.md", "runbook.md", "accounts.md", "terraform.md", "cookbook/amp-to-pagerduty.md"}

var ofAWS = regexp.MustCompile(`^(aws|sam) `)

// Every command that writes a secret names its key: without one Parameter Store
// takes aws/ssm, whatever ParameterKeyArn says.
func TestEverySecureStringNamesItsKey(t *testing.T) {
	found := 0
	for _, file := range documents(t) {
		for _, c := range commands(read(t, file)) {
			if !strings.Contains(c.text, "--type SecureString") {
				continue
			}
			found++
			if !strings.Contains(c.text, "--key-id ") {
				t.Errorf("%s:%d: without --key-id: %s", file, c.line, c.text)
			}
		}
	}
	if found < 3 {
		t.Errorf("found %d commands that write a SecureString, want 3 or more", found)
	}
}

// Every command of the documents about AWS is run by bash, in a folder that has
// what a clone has, with the real AWS command line 2, the parser of the real SAM
// command line and the real jq. The AWS command line has to accept the arguments
// and to send the request; a server on the loopback takes it and answers an error
// that this test knows. Everything else is played: it prints "value".
func TestTheCommandsOfTheDocumentsAreAccepted(t *testing.T) {
	aws, sam := os.Getenv("AMX_TEST_AWS"), os.Getenv("AMX_TEST_SAM_PYTHON")
	if aws == "" || sam == "" {
		t.Skip("AMX_TEST_AWS and AMX_TEST_SAM_PYTHON do not name the AWS command line 2 and a Python that has the SAM command line: .ci/documents does")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(refuse))
	t.Cleanup(server.Close)
	nodes := 0
	for _, file := range documents(t) {
		text := read(t, file)
		all := slices.Concat(commands(text), inlineCommands(text))
		if !slices.Contains(onAWS, file) {
			all = slices.DeleteFunc(all, func(c command) bool { return !ofAWS.MatchString(c.text) })
		}
		if calls := onNodes(text); len(calls) > 0 {
			all, nodes = append(all, calls...), nodes+1
		}
		if len(all) == 0 {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := &shell{T: t, root: root, bin: t.TempDir(), dir: t.TempDir()}
			s.play(aws, sam, server.URL)
			s.run(file, all)
		})
	}
	if nodes < 2 {
		t.Errorf("%d documents call aws on a node, want 2 or more", nodes)
	}
}

// refuse answers in the form of the protocol that was used, so that the client
// reads the error's name.
func refuse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	status, answer := http.StatusTeapot, `{"__type":"Accepted","message":"by the test"}`
	switch s3 := r.Header.Get("X-Amz-Content-Sha256") != ""; {
	case s3:
		answer = "<Error><Code>Accepted</Code><Message>by the test</Message></Error>"
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		answer = "<Error><Code>Accepted</Code><Message>by the test</Message></Error>"
		if strings.Contains(string(body), "Version=2016-11-15") { // EC2's own
			answer = "<Response><Errors>" + answer + "</Errors></Response>"
		} else {
			answer = "<ErrorResponse>" + answer + "</ErrorResponse>"
		}
	}
	w.Header().Set("X-Amzn-ErrorType", "Accepted")
	w.WriteHeader(status)
	fmt.Fprint(w, answer)
}

// shell is where a reader types.
type shell struct {
	*testing.T
	root, bin, dir string
}

// played are the programs that the documents use beside the real ones.
var played = []string{"amx", "curl", "git", "make", "sudo", "openssl", "sh", "rm", "mv", "terraform", "zip"}

func (s *shell) play(aws, sam, endpoint string) {
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/bash\n"+text), 0o700); err != nil {
			s.Fatal(err)
		}
	}
	for _, name := range played {
		script(name, "[ -t 0 ] || cat >/dev/null\necho value\n")
	}
	script("aws", `said=$('`+aws+`' --endpoint-url '`+endpoint+`' "$@" 2>&1 </dev/null)
case $said in
*"(Accepted)"*) echo value ;;
*) echo "aws $*: $said" >&2; exit 1 ;;
esac
`)
	script("sam", `exec '`+sam+`' '`+s.root+`/.ci/sam/parse.py' "$@"`)
	script("jq", `cat >/dev/null; PATH=/usr/bin:/bin; exec jq -n "$@"`)
	for _, name := range []string{"bin", "dist/webhook"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			s.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(s.dir, "examples"), os.DirFS(filepath.Join(s.root, "examples"))); err != nil {
		s.Fatal(err)
	}
	for file, text := range map[string]string{
		"bin/amx":   "#!/bin/bash\necho value\n",
		"amx-token": "value\n", // of the stack's TokenCommand, which has a test of its own
		"amx.yaml":  "commands: []\n",
		"rules.yml": "groups: []\n",

		"pagerduty-key": "value\n",

		"slack-token":       "value\n",
		"amx-packaged.yaml": "{}", // of sam package
	} {
		if err := os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o700); err != nil {
			s.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "examples", "redrive.sh"), []byte("#!/bin/bash\necho value\n"), 0o700); err != nil {
		s.Fatal(err)
	}
}

// run types all commands into one shell, so that what one of them needs another
// has to make before it.
func (s *shell) run(file string, all []command) {
	if len(all) == 0 {
		s.Fatal("it has no command")
	}
	var script strings.Builder
	for _, c := range all {
		fmt.Fprintf(&script, "%s\ncode=$?; (exit $code) || echo \"FAILED %d $code\" >&2\n", c.text, c.line)
	}
	name := filepath.Join(s.bin, "typed")
	if err := os.WriteFile(name, []byte(script.String()), 0o600); err != nil {
		s.Fatal(err)
	}
	bash := exec.Command("bash", name)
	bash.Dir = s.dir
	bash.Env = []string{
		"PATH=" + s.bin + ":/usr/bin:/bin", "HOME=" + s.dir, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret",
		"AWS_DEFAULT_REGION=eu-central-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "NO_PROXY=127.0.0.1", "LANG=C.UTF-8",
		"SAM_CLI_TELEMETRY=0",
	}
	out, err := bash.CombinedOutput()
	if err != nil {
		s.Errorf("bash: %v", err)
	}
	if text := string(out); strings.Contains(text, "FAILED ") || strings.Contains(text, "command not found") || strings.Contains(text, "syntax error") {
		s.Errorf("%s, where the number is the line:\n%s", file, text)
	}
}
