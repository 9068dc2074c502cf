package stacktest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// front is the endpoint of an AWS that has more than moto: moto looks at every
// request's signature and right, and answers what it can. Run Command, of which
// moto runs nothing, is ssmlocal's, once moto lets a call of it pass. The alarms
// that moto's CloudFormation does not make are among the stack's resources.
type front struct {
	url    string
	moto   *httputil.ReverseProxy
	local  *ssmlocal.Server
	ended  chan ssmlocal.StatusChange // of commands, not of invocations
	alarms map[string]string          // :: logical ID → name

	mu    sync.Mutex // moto's conditional put is not atomic across its threads
	alter *strings.Replacer
}

// runCommand are the operations that ssmlocal answers.
var runCommand = []string{
	"SendCommand", "CancelCommand", "ListCommands", "ListCommandInvocations", "GetCommandInvocation", "DescribeInstanceInformation",
}

func newFront(a *account, nodes ...ssmlocal.Node) *front {
	a.Helper()
	to, err := url.Parse(a.url)
	if err != nil {
		a.Fatal(err)
	}
	f := &front{ended: make(chan ssmlocal.StatusChange, 100), alarms: map[string]string{}, alter: strings.NewReplacer()}
	f.moto = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: f.withAlarms,
	}
	f.local, err = ssmlocal.New(ssmlocal.Options{
		Dir: a.TempDir(), StateDir: a.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}, Nodes: nodes, Region: "eu-central-1",
		Notify: func(c ssmlocal.StatusChange) {
			if c.InstanceID == "" {
				f.ended <- c
			}
		},
	})
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() {
		if err := f.local.Close(context.Background()); err != nil {
			a.Error(err)
		}
	})
	s := httptest.NewServer(f)
	a.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// alters has Run Command's answers changed until the test ends.
func (f *front) alters(t *testing.T, oldnew ...string) {
	set := func(r *strings.Replacer) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.alter = r
	}
	set(strings.NewReplacer(oldnew...))
	t.Cleanup(func() { set(strings.NewReplacer()) })
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service != "AmazonSSM" || !slices.Contains(runCommand, operation) {
		if strings.HasPrefix(service, "DynamoDB") {
			f.mu.Lock()
			defer f.mu.Unlock()
		}
		f.moto.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has given up
	}
	answer := httptest.NewRecorder()
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.moto.ServeHTTP(answer, r)
	if answer.Code != http.StatusForbidden {
		answer = httptest.NewRecorder()
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.local.ServeHTTP(answer, r)
	}
	f.mu.Lock()
	text := f.alter.Replace(answer.Body.String())
	f.mu.Unlock()
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	io.WriteString(w, text)
}

const summariesEnd = "</StackResourceSummaries>"

// withAlarms adds the alarms to the stack's resources.
func (f *front) withAlarms(answer *http.Response) error {
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var alarms strings.Builder
	for id, name := range f.alarms {
		alarms.WriteString("<member><LogicalResourceId>" + id + "</LogicalResourceId><PhysicalResourceId>" + name + "</PhysicalResourceId>" +
			"<ResourceType>AWS::CloudWatch::Alarm</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>")
	}
	text = bytes.Replace(text, []byte(summariesEnd), []byte(alarms.String()+summariesEnd), 1)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	answer.Header.Del("Content-Length")
	return nil
}
