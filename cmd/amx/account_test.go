package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
)

// services is AWS as the functions and the command line ask it, behind one
// endpoint: this repository's doubles, or moto where [moto] names it, and in both
// cases a Run Command of this machine. It has amx's stack, and beside it the stack
// NAME-another, which is not amx's.
type services struct {
	db, sqs, rest http.Handler // rest: CloudFormation and STS
	ssm           http.Handler // nil: it knows no command

	stack, table       string
	queue, deadLetters string // URLs
	endpoint           string
	credentials        aws.Credentials
}

// moto is the URL of a server of moto, an AWS that nobody of this project wrote.
// .ci/moto names it; elsewhere it is "".
func moto() string { return os.Getenv("AMX_TEST_MOTO_ENDPOINT") }

// newServices makes the account. Its queue has 5 items, 3 of which are not due, and
// there are 5 dead letters.
func newServices(t testing.TB, runCommand http.Handler) *services {
	t.Helper()
	s := &services{
		ssm: runCommand, stack: "amx", table: "amx",
		queue: awstest.QueueURL("work"), deadLetters: awstest.QueueURL("dead"),
		credentials: aws.Credentials{AccessKeyID: awstest.AccessKey, SecretAccessKey: awstest.SecretKey},
	}
	s.db, s.sqs, s.rest = &awstest.DynamoDB{Table: s.table}, &awstest.SQS{Names: []string{"work", "dead"}}, http.HandlerFunc(s.query)
	if moto() != "" {
		proxy := onMoto(t)
		s.db, s.sqs, s.rest = proxy, proxy, proxy
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.endpoint = server.URL
	if moto() != "" {
		s.create(t)
	}
	client := awstest.SQSClient(s.endpoint)
	for i := range 5 {
		for _, message := range []sqs.SendMessageInput{
			{QueueUrl: &s.queue, MessageBody: aws.String("{}"), DelaySeconds: int32(900 * min(1, i/2))},
			{QueueUrl: &s.deadLetters, MessageBody: aws.String("{}")},
		} {
			if _, err := client.SendMessage(t.Context(), &message); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// environment is what a process needs to find this account.
func (s *services) environment() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": s.endpoint, "AWS_REGION": awstest.Region, "AWS_CONFIG_FILE": "/dev/null", "AWS_PROFILE": "",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ACCESS_KEY_ID": s.credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": s.credentials.SecretAccessKey, "AWS_SESSION_TOKEN": s.credentials.SessionToken,
	}
}

// setenv gives the test's own process that environment.
func (s *services) setenv(t *testing.T) {
	t.Helper()
	for name, value := range s.environment() {
		t.Setenv(name, value)
	}
}

// enterRuns enters [sampleRuns] in the stack's history.
func (s *services) enterRuns(t testing.TB) []history.Record {
	t.Helper()
	store := &historydynamo.Store{Client: awstest.DynamoDBClient(s.endpoint), Table: s.table, Keep: history.Default}
	runs := sampleRuns(time.Now())
	for _, r := range runs {
		if err := store.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return runs
}

func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case strings.HasPrefix(service, "DynamoDB"):
		s.db.ServeHTTP(w, r)
	case service == "AmazonSQS":
		s.sqs.ServeHTTP(w, r)
	case service == "":
		s.rest.ServeHTTP(w, r)
	case s.ssm != nil && service == "AmazonSSM":
		s.ssm.ServeHTTP(w, r)
	case operation == "GetCommandInvocation":
		answerJSON(w, http.StatusBadRequest, map[string]string{"__type": "InvocationDoesNotExist"})
	default:
		answerJSON(w, http.StatusBadRequest, map[string]string{"__type": "UnknownOperationException", "message": operation})
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}

// query answers the protocol of CloudFormation and STS: a form, and XML.
func (s *services) query(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	output := func(key, value string) string {
		return "<member><OutputKey>" + key + "</OutputKey><OutputValue>" + value + "</OutputValue></member>"
	}
	refuse := func(code, message string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>", code, message)
	}
	switch action, stack := r.FormValue("Action"), r.FormValue("StackName"); {
	case action == "GetCallerIdentity":
		fmt.Fprint(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/Admin/ann</Arn><UserId>A:ann</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")
	case stack == s.stack:
		fmt.Fprintf(w, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>%s</StackName><Outputs>%s</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
			s.stack, output("TableName", s.table)+output("WorkQueueURL", s.queue)+output("DeadLetterQueueURL", s.deadLetters))
	case stack == s.stack+"-another":
		fmt.Fprintf(w, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>%s</StackName></member></Stacks></DescribeStacksResult></DescribeStacksResponse>", stack)
	case stack == "denied":
		refuse("AccessDenied", "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: cloudformation:DescribeStacks on resource: arn:aws:cloudformation:eu-central-1:123456789012:stack/denied/* because no identity-based policy allows the cloudformation:DescribeStacks action")
	default:
		refuse("ValidationError", "Stack with id "+stack+" does not exist")
	}
}

// onMoto hands requests on to moto, those of DynamoDB one after another: its
// conditional put is not atomic across its server's threads.
func onMoto(t testing.TB) http.Handler {
	t.Helper()
	u, err := url.Parse(moto())
	if err != nil {
		t.Fatalf("moto's URL: %v", err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB") {
			mu.Lock()
			defer mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	})
}

// ofTheStack is the part of template.yaml that the command line sees.
const ofTheStack = `
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: NAME
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: day, AttributeType: S}, {AttributeName: run, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: by_day
          KeySchema: [{AttributeName: day, KeyType: HASH}, {AttributeName: run, KeyType: RANGE}]
          Projection: {ProjectionType: ALL}
  WorkQueue: {Type: AWS::SQS::Queue, Properties: {QueueName: NAME-work}}
  DeadLetterQueue: {Type: AWS::SQS::Queue, Properties: {QueueName: NAME-dead}}
Outputs:
  TableName: {Value: !Ref Table}
  WorkQueueURL: {Value: !Ref WorkQueue}
  DeadLetterQueueURL: {Value: !Ref DeadLetterQueue}
`

// create has moto's CloudFormation make a stack of the test's own name, and its STS
// let the test assume a role.
func (s *services) create(t testing.TB) {
	t.Helper()
	s.stack = "amx-" + strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())
	given := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return s.credentials, nil })
	client := cloudformation.New(cloudformation.Options{Region: awstest.Region, BaseEndpoint: &s.endpoint, Credentials: given})
	for name, template := range map[string]string{
		s.stack:              strings.ReplaceAll(ofTheStack, "NAME", s.stack),
		s.stack + "-another": "Resources: {Queue: {Type: AWS::SQS::Queue}}",
	} {
		if _, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := client.DeleteStack(context.Background(), &cloudformation.DeleteStackInput{StackName: &name}); err != nil {
				t.Error(err)
			}
		})
	}
	out, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &s.stack})
	if err != nil || len(out.Stacks) != 1 || out.Stacks[0].StackStatus != cloudformationtypes.StackStatusCreateComplete {
		t.Fatalf("the stack %q: %+v, %v", s.stack, out, err)
	}
	for _, o := range out.Stacks[0].Outputs {
		switch *o.OutputKey {
		case "TableName":
			s.table = *o.OutputValue
		case "WorkQueueURL":
			s.queue = *o.OutputValue
		case "DeadLetterQueueURL":
			s.deadLetters = *o.OutputValue
		}
	}
	role, err := sts.New(sts.Options{Region: awstest.Region, BaseEndpoint: &s.endpoint, Credentials: given}).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/Admin"), RoleSessionName: aws.String("ann"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.credentials = aws.Credentials{
		AccessKeyID: *role.Credentials.AccessKeyId, SecretAccessKey: *role.Credentials.SecretAccessKey, SessionToken: *role.Credentials.SessionToken,
	}
}
