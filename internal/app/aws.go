package app

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// connection is what the clients of AWS's services have in common. It is made
// by hand, because on Lambda everything is in the environment: config's
// LoadDefaultConfig would also look for files and profiles, and links STS, SSO
// and the instance metadata service. That costs a cold start 0.7 ms and 2.5 MiB
// (measured as BenchmarkColdStart does), and finds nothing more.
type connection struct {
	env         Getenv
	region      string
	credentials aws.CredentialsProvider
	http        *http.Client
}

func newConnection(env Getenv) *connection {
	return &connection{
		env: env, region: env("AWS_REGION"), credentials: environmentCredentials(env),
		http: &http.Client{
			Transport:     newTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// environmentCredentials are the function's role, which Lambda gives in its
// environment and never changes while the process lives.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func environmentCredentials(env Getenv) aws.CredentialsProvider {
	c := aws.Credentials{
		AccessKeyID: env("AWS_ACCESS_KEY_ID"), SecretAccessKey: env("AWS_SECRET_ACCESS_KEY"),
		SessionToken: env("AWS_SESSION_TOKEN"), Source: "environment",
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if !c.HasKeys() {
			return aws.Credentials{}, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: Lambda sets them")
		}
		return c, nil
	})
}

// newTransport keeps connections alive between invocations, but not for long: a
// sandbox is frozen between them, and a connection that AWS has closed meanwhile
// may not show it. A request that is sent on one has no answer, and for
// SendCommand that means a search for what became of it. (IdleConnTimeout is
// also checked against the wall clock, so that it counts the time frozen.)
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32, // commands and entries of one message go side by side
		IdleConnTimeout:       15 * time.Second,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
	}
}

// endpoint is the URL that the SDK's own variables name for a service; nil: AWS.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func (c *connection) endpoint(service string) *string {
	if c.env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == "true" {
		return nil
	}
	if url := cmp.Or(c.env("AWS_ENDPOINT_URL_"+service), c.env("AWS_ENDPOINT_URL")); url != "" {
		return &url
	}
	return nil
}

// fips is the SDK's own switch for endpoints with FIPS 140 cryptography.
func (c *connection) fips() aws.FIPSEndpointState {
	if c.env("AWS_USE_FIPS_ENDPOINT") == "true" {
		return aws.FIPSEndpointStateEnabled
	}
	return aws.FIPSEndpointStateUnset
}

func (c *connection) ssm() *ssmClient { return narrowSSM(ssm.New(c.ssmOptions())) }
func (c *connection) dynamodb() *dynamodbClient {
	return narrowDynamoDB(dynamodb.New(c.dynamodbOptions()))
}
func (c *connection) sqs() *sqsClient { return narrowSQS(sqs.New(c.sqsOptions())) }

func (c *connection) ssmOptions() ssm.Options {
	return ssm.Options{
		Region: c.region, Credentials: c.credentials, HTTPClient: c.http, BaseEndpoint: c.endpoint("SSM"),
		EndpointOptions: ssm.EndpointResolverOptions{UseFIPSEndpoint: c.fips()},
	}
}

func (c *connection) dynamodbOptions() dynamodb.Options {
	return dynamodb.Options{
		Region: c.region, Credentials: c.credentials, HTTPClient: c.http, BaseEndpoint: c.endpoint("DYNAMODB"),
		EndpointOptions: dynamodb.EndpointResolverOptions{UseFIPSEndpoint: c.fips()},
	}
}

// sqsOptions retry soon: what is put off is put at the end of a delivery's time.
func (c *connection) sqsOptions() sqs.Options {
	return sqs.Options{
		Region: c.region, Credentials: c.credentials, HTTPClient: c.http, BaseEndpoint: c.endpoint("SQS"),
		EndpointOptions: sqs.EndpointResolverOptions{UseFIPSEndpoint: c.fips()},
		Retryer:         retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 300 * time.Millisecond }),
	}
}
