package awstest

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Region and credentials of the tests. Nothing checks them.
const (
	Region    = "eu-central-1"
	AccessKey = "AKIDEXAMPLE"
	SecretKey = "not-a-secret"
)

// DynamoDBClient is the SDK's client of a DynamoDB at that URL.
func DynamoDBClient(endpoint string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: Region, BaseEndpoint: &endpoint, Credentials: credentials(),
	})
}

// SSMClient is the SDK's client of an SSM at that URL.
func SSMClient(endpoint string) *ssm.Client {
	return ssm.New(ssm.Options{Region: Region, BaseEndpoint: &endpoint, Credentials: credentials()})
}

// SQSClient is the SDK's client of an SQS at that URL.
func SQSClient(endpoint string) *sqs.Client {
	return sqs.New(sqs.Options{Region: Region, BaseEndpoint: &endpoint, Credentials: credentials()})
}

func credentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}, nil
	})
}

// A Table is an empty table with the [Wire] before it.
type Table struct {
	*Wire
	Endpoint string // URL
	Name     string
}

// NewTable makes a table as template.yaml declares it: in the DynamoDB server
// at the given URL, which is emptied of it when the test ends, or else in a
// [DynamoDB] of this package.
func NewTable(t testing.TB, server string) *Table {
	t.Helper()
	table := &Table{Name: "amx." + short(t.Name())}
	if server == "" {
		table.Wire = &Wire{Next: &DynamoDB{Table: table.Name}}
		table.Endpoint = table.Listen(t)
		return table
	}
	table.Wire = &Wire{Next: oneAtATime(t, server)}
	table.Endpoint = table.Listen(t)
	table.create(t)
	table.Operations() // those of the test itself are not counted
	return table
}

// short is the end of a test's name, as a table's name can have it.
func short(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '.'
	}, name)
	return name[max(0, len(name)-200):]
}

func (table *Table) create(t testing.TB) {
	t.Helper()
	client := DynamoDBClient(table.Endpoint)
	text := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeS}
	}
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            &table.Name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{text("pk"), text("day"), text("run")},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("by_day"),
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String("day"), KeyType: types.KeyTypeHash},
				{AttributeName: aws.String("run"), KeyType: types.KeyTypeRange},
			},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
	if err != nil {
		t.Fatalf("creating table %q: %v", table.Name, err)
	}
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &table.Name})
		if err != nil {
			t.Errorf("deleting table %q: %v", table.Name, err)
		}
	})
}

// oneAtATime hands requests on to a server, one after another: moto, which is
// often that server, serves on several threads, and its conditional put is not
// atomic across them.
func oneAtATime(t testing.TB, server string) http.Handler {
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("the DynamoDB server's URL: %v", err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	var mu sync.Mutex
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		proxy.ServeHTTP(out, r)
	})
}
