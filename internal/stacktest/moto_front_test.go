package stacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// front is the endpoint of an AWS that has more than moto: moto looks at every
// request's signature and right, and answers what it can. Run Command, of which
// moto runs nothing, is ssmlocal's, once moto lets a call of it pass. The alarms
// that moto's CloudFormation does not make are among the stack's resources, and
// CloudWatch speaks the SDK's protocol, which moto does not.
type front struct {
	behind *account
	role   aws.Credentials // of who calls

	endpoint string // URL
	moto     *httputil.ReverseProxy
	local    *ssmlocal.Server
	ended    chan ssmlocal.StatusChange // of commands, not of invocations
	alarms   map[string]string          // :: logical ID → name

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
	f := &front{behind: a, ended: make(chan ssmlocal.StatusChange, 100), alarms: map[string]string{}, alter: strings.NewReplacer()}
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
	f.endpoint = s.URL
	return f
}

// alters changes a text in Run Command's answers until the answer is called.
func (f *front) alters(was, is string) (restore func()) {
	set := func(r *strings.Replacer) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.alter = r
	}
	set(strings.NewReplacer(was, is))
	return func() { set(strings.NewReplacer()) }
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/operation/DescribeAlarms") {
		f.describeAlarms(w, r)
		return
	}
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
	w.Write([]byte(text))
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

const cloudWatchTarget = "GraniteServiceVersion20100801."

// describeAlarms asks moto in JSON, signed anew, and answers in CBOR.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
func (f *front) describeAlarms(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has given up
	}
	in, err := cbor.Decode(text)
	if err != nil {
		f.behind.Errorf("DescribeAlarms: %v", err)
	}
	names, _ := in.(cbor.Map)["AlarmNames"].(cbor.List)
	status, text, err := signed(r.Context(), f.behind.url, f.role, "monitoring", cloudWatchTarget+"DescribeAlarms", encoded(f.behind.T, object{"AlarmNames": names}))
	if err != nil || status != http.StatusOK {
		w.WriteHeader(max(status, http.StatusForbidden))
		w.Write(text)
		return
	}
	var answer struct {
		MetricAlarms []struct {
			AlarmName, AlarmDescription, StateValue string
			AlarmActions                            []string
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		f.behind.Errorf("DescribeAlarms: %v\n%s", err, text)
	}
	alarms := cbor.List{}
	for _, a := range answer.MetricAlarms {
		actions := cbor.List{}
		for _, arn := range a.AlarmActions {
			actions = append(actions, cbor.String(arn))
		}
		alarms = append(alarms, cbor.Map{
			"AlarmName": cbor.String(a.AlarmName), "AlarmDescription": cbor.String(a.AlarmDescription),
			"StateValue": cbor.String(a.StateValue), "AlarmActions": actions,
		})
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Write(cbor.Encode(cbor.Map{"MetricAlarms": alarms}))
}

// signed calls an operation of a JSON protocol with a role's credentials.
func signed(ctx context.Context, url string, role aws.Credentials, service, target string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", target)
	if err := v4.NewSigner().SignHTTP(ctx, role, r, fmt.Sprintf("%x", sha256.Sum256(body)), service, "eu-central-1", time.Now()); err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}
