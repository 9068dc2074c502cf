package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// tokenStub answers one text or error and counts.
type tokenStub struct {
	text  string
	err   error
	reads int
}

func (s *tokenStub) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	s.reads++
	if *in.Name != "/amx/tokens" || !*in.WithDecryption {
		return nil, errors.New("not the decrypted parameter")
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: &s.text}}, s.err
}

func TestTokens(t *testing.T) {
	client := &tokenStub{text: "old\n"}
	now := time.Unix(0, 0)
	p := &tokenParameter{client: client, name: "/amx/tokens", log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }}
	// at is a request after that long, and how often the parameter is then read.
	at := func(after time.Duration, token string, want bool, reads int) {
		t.Helper()
		now, client.reads = now.Add(after), 0
		got, err := p.find(t.Context(), token)
		if (got != nil) != want || err != nil || client.reads != reads {
			t.Errorf("%q: %v, %v after %d readings; want %v after %d", token, got, err, client.reads, want, reads)
		}
	}
	unknown := func(after time.Duration, token string, reads int) {
		t.Helper()
		now, client.reads = now.Add(after), 0
		got, err := p.find(t.Context(), token)
		if got != nil || err == nil || client.reads != reads {
			t.Errorf("%q: %v, %v after %d readings; want an error after %d", token, got, err, client.reads, reads)
		}
	}
	at(0, "old", true, 1)
	at(59*time.Second, "old", true, 0)
	at(time.Second, "old", true, 1)
	at(0, "wrong", false, 0) // they were read this instant

	client.text = "old\nnew\n" // rotating
	at(time.Second, "new", true, 1)
	at(time.Second, "wrong", false, 0) // it has had its reading
	at(time.Minute, "wrong", false, 1)
	at(time.Second, "wrong", false, 1) // and once more, a minute later
	for range 100 {
		at(time.Millisecond, "wrong", false, 0)
	}
	client.text = "new\n"
	at(2*time.Minute, "old", false, 1)

	client.err = errors.New("SSM is away")
	at(time.Minute, "new", true, 1)
	at(time.Millisecond, "new", true, 0)
	at(time.Millisecond, "wrong", false, 0)
	at(time.Second, "new", true, 1)
	client.err, client.text = nil, "newer"
	at(time.Second, "newer", true, 1)

	client.text = " \n"
	unknown(time.Minute, "newer", 1)
	unknown(time.Millisecond, "newer", 0)
	unknown(time.Second, "", 1)
	client.text = "newest"
	at(time.Second, "newest", true, 1)
	client.err = &types.ParameterNotFound{}
	unknown(time.Minute, "newest", 1)
}

func TestTokensAreReadWithinTheInvocation(t *testing.T) {
	deadline := time.Now().Add(10 * time.Second)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	client := deadlineStub{}
	p := &tokenParameter{client: &client, name: "/amx/tokens", log: slog.New(slog.DiscardHandler), now: time.Now}
	if found, err := p.find(ctx, "x"); found == nil || err != nil {
		t.Fatal(found, err)
	}
	if left := deadline.Sub(client.deadline); left != callsEnd {
		t.Errorf("the call may last until %v before the deadline, want %v", left, callsEnd)
	}
}

type deadlineStub struct{ deadline time.Time }

func (s *deadlineStub) GetParameter(ctx context.Context, _ *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	s.deadline, _ = ctx.Deadline()
	text := "x"
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: &text}}, nil
}

// hangingStub answers nothing once it hangs, and its calls last as long as they
// are let.
type hangingStub struct {
	tokenStub
	hangs bool
}

func (s *hangingStub) GetParameter(ctx context.Context, in *ssm.GetParameterInput, options ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	if s.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.tokenStub.GetParameter(ctx, in, options...)
}

func TestAParameterStoreThatHangsDoesNotTakeTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &hangingStub{tokenStub: tokenStub{text: "old"}}
		p := &tokenParameter{client: client, name: "/amx/tokens", log: slog.New(slog.DiscardHandler), now: time.Now}
		// within is an invocation of 30 seconds: whether it takes the token, and
		// how much of the time that needs.
		within := func(token string, want bool, took time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			begun := time.Now()
			if got, err := p.find(ctx, token); (got != nil) != want || err != nil || time.Since(begun) != took {
				t.Errorf("%q: %v, %v after %v; want %v after %v", token, got, err, time.Since(begun), want, took)
			}
		}
		within("old", true, 0)
		client.hangs = true
		time.Sleep(30 * time.Second)
		within("old", true, 0)
		within("wrong", false, 2*time.Second) // it forces a reading
		time.Sleep(time.Minute)
		within("old", true, 2*time.Second)
		client.hangs = false
		client.text = "new"
		time.Sleep(time.Minute)
		within("old", false, 0)
		within("new", true, 0)
	})
}

func TestTheFirstReadingOfTheTokensHasTheTimeThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tokenParameter{client: &hangingStub{hangs: true}, name: "/amx/tokens", log: slog.New(slog.DiscardHandler), now: time.Now}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		found, err := p.find(ctx, "any")
		if took := time.Since(begun); found != nil || err == nil || took != 10*time.Second-callsEnd {
			t.Errorf("%v, %v after %v", found, err, took)
		}
	})
}

func TestParseTokens(t *testing.T) {
	ts, err := ParseTokens("plain\n\n  alertmanager  s3cret \nann t0ken operator\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		token, name string
		operator    bool
	}{
		{"plain", "a116c9", false}, {"s3cret", "alertmanager", false}, {"t0ken", "ann", true},
	} {
		if got := ts.Find(tt.token); got == nil || got.Name != tt.name || got.Operator != tt.operator {
			t.Errorf("%q is %+v, want %q, operator %v", tt.token, got, tt.name, tt.operator)
		}
	}
	for _, other := range []string{"", "ann", "operator", "alertmanager", "ann t0ken operator", "plain "} {
		if got := ts.Find(other); got != nil {
			t.Errorf("%q is accepted as %q", other, got.Name)
		}
	}
	for _, text := range []string{"a\nann t0ken admin\n", "a\nann t0ken operator x\n"} {
		_, err := ParseTokens(text)
		if want := "line 2 is not a token: want TOKEN, NAME TOKEN or NAME TOKEN operator"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
