package awstest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// SSM is the SDK's client of the SSM behind w. Its requests reach w without a
// network, so that it may be used under testing/synctest. A request that breaks
// the service's model fails the test.
func (w *Wire) SSM(t testing.TB) *ssm.Client {
	t.Helper()
	t.Cleanup(func() {
		for _, v := range w.Violations() {
			t.Error(v)
		}
	})
	return ssm.New(ssm.Options{
		Region: Region, BaseEndpoint: aws.String("http://ssm.invalid"), Credentials: credentials(), HTTPClient: direct{w},
	})
}

// direct is a network of one handler, which runs in a goroutine of its own: its
// caller may give up before it has answered.
type direct struct{ http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	own := r.Clone(r.Context()) // the handler's: the caller may have its request back before that is done
	own.Body = http.NoBody
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		own.Body = io.NopCloser(bytes.NewReader(body))
	}
	answered := make(chan *http.Response, 1)
	go func() {
		out := httptest.NewRecorder()
		defer func() {
			switch p := recover(); p {
			case nil:
				answered <- out.Result()
			case http.ErrAbortHandler: // the connection is dropped
				answered <- nil
			default:
				panic(p)
			}
		}()
		d.ServeHTTP(out, own)
	}()
	select {
	case answer := <-answered:
		if answer == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return answer, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
