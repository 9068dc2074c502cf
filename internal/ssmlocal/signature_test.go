package ssmlocal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

func testCredential(t *testing.T) Credential {
	t.Helper()
	c, err := NewCredential(bytes.NewReader(bytes.Repeat([]byte{0x5a, 0xc3, 7}, 20)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACredentialHasTheFormOfAWS(t *testing.T) {
	c := testCredential(t)
	if c.AccessKeyID != "AMXLLLBQOWWDA5NMGB22" || len(c.SecretAccessKey) != 40 || strings.Trim(c.SecretAccessKey, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("got %+v", c)
	}
	if _, err := NewCredential(strings.NewReader("short")); err == nil || err.Error() != "making a credential: unexpected EOF" {
		t.Errorf("out of too few bytes: %v", err)
	}
}

func TestTheSDKsOwnRequestsAreAccepted(t *testing.T) {
	w := start(t)
	c := testCredential(t)
	server := httptest.NewServer(w.server.Signed(c))
	defer server.Close()
	client := func(c Credential, region string) *ssm.Client {
		return ssm.New(ssm.Options{
			Region: region, BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}, nil
			}),
		})
	}
	for _, region := range []string{"local", "eu-central-1"} {
		in := script("echo ä  '  {{}} '")
		in.Comment = aws.String("ä  b")
		out, err := client(c, region).SendCommand(context.Background(), in)
		if err != nil {
			t.Fatalf("signed for %s: %v", region, err)
		}
		w.ended(*out.Command.CommandId)
	}
	_, err := client(Credential{c.AccessKeyID, "other"}, "local").ListCommands(context.Background(), &ssm.ListCommandsInput{})
	wantError(t, err, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	_, err = client(Credential{"AMXOTHER", c.SecretAccessKey}, "local").ListCommands(context.Background(), &ssm.ListCommandsInput{})
	wantError(t, err, "UnrecognizedClientException", "The security token included in the request is invalid.")
}

func TestSignedRefuses(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	w := start(t, func(o *Options) { o.Now = func() time.Time { return now } })
	c := testCredential(t)
	handler := w.server.Signed(c)
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	nothing := func(*http.Request) {}
	authorization := func(change func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", change(r.Header.Get("Authorization"))) }
	}
	replace := func(old, replacement string) func(*http.Request) {
		return authorization(func(s string) string { return strings.Replace(s, old, replacement, 1) })
	}
	for _, tt := range []struct {
		name          string
		at            time.Time
		service       string
		change        func(*http.Request) // after the signature
		status        int
		code, message string // code "": it is answered
	}{
		{"nothing that is as it should be", now, "ssm", nothing, 200, "", ""},
		{"nothing of five minutes ago", now.Add(-5 * time.Minute), "ssm", nothing, 200, "", ""},
		{"nothing of five minutes ahead", now.Add(5 * time.Minute), "ssm", nothing, 200, "", ""},
		{
			"what is older", now.Add(-5*time.Minute - time.Second), "ssm", nothing, 400, "InvalidSignatureException",
			"Signature expired: 20261123T075459Z is now earlier than 20261123T075500Z (20261123T080000Z - 5 min.)",
		},
		{
			"what is to come", now.Add(5*time.Minute + time.Second), "ssm", nothing, 400, "InvalidSignatureException",
			"Signature not yet current: 20261123T080501Z is still later than 20261123T080500Z (20261123T080000Z + 5 min.)",
		},
		{"another service's", now, "s3", nothing, 400, "InvalidSignatureException", "Credential should be scoped to correct service: 'ssm'."},
		{"no signature", now, "ssm", func(r *http.Request) { r.Header.Del("Authorization") }, 400, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{
			"a bearer token", now, "ssm", authorization(func(string) string { return "Bearer x" }), 400, "IncompleteSignatureException",
			"Authorization header requires the algorithm AWS4-HMAC-SHA256.",
		},
		{
			"no signed headers", now, "ssm", replace("SignedHeaders=", "Headers="), 400, "IncompleteSignatureException",
			"Authorization header requires 'SignedHeaders' parameter.",
		},
		{
			"a short scope", now, "ssm", replace("/aws4_request", ""), 400, "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + c.AccessKeyID + "/20261123/local/ssm'.",
		},
		{
			"another terminator", now, "ssm", replace("aws4_request", "aws5_request"), 400, "InvalidSignatureException",
			"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
		},
		{
			"another day's key", now, "ssm", replace("/20261123/", "/20261122/"), 400, "InvalidSignatureException",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261122' != '20261123', from '20261123T080000Z'.",
		},
		{"another region's key", now, "ssm", replace("/local/", "/remote/"), 400, "InvalidSignatureException", mismatch},
		{
			"no date", now, "ssm", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 400, "IncompleteSignatureException",
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
		},
		{
			"a date of another form", now, "ssm", func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, 400, "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got 'yesterday'.",
		},
		{"another date", now, "ssm", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261123T080001Z") }, 400, "InvalidSignatureException", mismatch},
		{"another operation", now, "ssm", func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSSM.SendCommand") }, 400, "InvalidSignatureException", mismatch},
		{
			"an operation that is not signed", now, "ssm", replace(";x-amz-target", ""), 400, "InvalidSignatureException",
			"'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{
			"a host that is not signed", now, "ssm", replace(";host", ""), 400, "InvalidSignatureException",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{"another host", now, "ssm", func(r *http.Request) { r.Host = "rebound.example" }, 400, "InvalidSignatureException", mismatch},
		{"another body", now, "ssm", func(r *http.Request) { r.Body = http.NoBody }, 400, "InvalidSignatureException", mismatch},
		{"another method", now, "ssm", func(r *http.Request) { r.Method = http.MethodGet }, 400, "InvalidSignatureException", mismatch},
		{
			"a path", now, "ssm", func(r *http.Request) { r.URL.Path = "/ssm" }, 404, "UnknownOperationException",
			"the protocol has neither paths nor queries: the endpoint is the address alone",
		},
		{
			"a query", now, "ssm", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=x" }, 404, "UnknownOperationException",
			"the protocol has neither paths nor queries: the endpoint is the address alone",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const body = `{"MaxResults":1}`
			r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4100/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", "AmazonSSM.ListCommands")
			hash := sha256.Sum256([]byte(body))
			err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey},
				r, hex.EncodeToString(hash[:]), tt.service, "local", tt.at)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(r)
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, r)
			want := `{"Commands":[]}`
			if tt.code != "" {
				want = `{"__type":"` + tt.code + `","message":"` + tt.message + `"}`
			}
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != tt.status || got != want {
				t.Errorf("answered %d %s\nwant %d %s", rec.Code, got, tt.status, want)
			}
			if id := rec.Header().Get("X-Amzn-Requestid"); !commandIDPattern.MatchString(id) {
				t.Errorf("the request's ID is %q", id)
			}
		})
	}
}
