package ssmexec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestWhatAnErrorProves(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Verdict
	}{
		{apiError("InvalidInstanceId"), Refused},
		{apiError("DuplicateInstanceId"), Refused},
		{apiError("InvalidDocument"), Refused},
		{apiError("InvalidDocumentVersion"), Refused},
		{apiError("InvalidParameters"), Refused},
		{apiError("UnsupportedPlatformType"), Refused},
		{apiError("MaxDocumentSizeExceeded"), Refused},
		{apiError("InvalidOutputFolder"), Refused},
		{apiError("InvalidRole"), Refused},
		{apiError("InvalidNotificationConfig"), Refused},
		{apiError("ValidationException"), Refused},
		{apiError("AccessDeniedException"), Unavailable},
		{apiError("ExpiredTokenException"), Unavailable},
		{&net.OpError{Op: "dial", Err: errors.New("no route")}, Unavailable},
		{apiError("ThrottlingException"), Throttled},
		{apiError("RequestLimitExceeded"), Throttled},
		{apiError("InternalServerError"), Unknown},
		{apiError("ServiceUnavailable"), Unknown},
		{apiError("SomethingNew"), Unknown},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, Unknown},
		{context.DeadlineExceeded, Unknown},
		{errors.New("SendCommand: the answer has no command ID"), Unknown},
	} {
		if got := Judge(fmt.Errorf("SendCommand: %w", tt.err)); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestThrottledSendsBackOffWithinTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := apiError("ThrottlingException")
		f := &fake{sendErrs: []error{throttled, throttled, throttled}}
		x := &Executor{Client: f, Jitter: func() float64 { return 0.5 }}
		begun := time.Now()
		id, err := x.Send(t.Context(), &ssm.SendCommandInput{})
		if id != "c3" || err != nil {
			t.Errorf("%q, %v", id, err)
		}
		if took := time.Since(begun); took != 250*time.Millisecond+500*time.Millisecond+time.Second {
			t.Errorf("it took %v", took)
		}

		f = &fake{sendErrs: slices.Repeat([]error{throttled}, 100)}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun = time.Now()
		_, err = (&Executor{Client: f}).Send(ctx, &ssm.SendCommandInput{})
		if want := "SendCommand: api error ThrottlingException: says SSM"; err == nil || err.Error() != want || Judge(err) != Throttled {
			t.Errorf("%v, want %s", err, want)
		}
		if took := time.Since(begun); took > 10*time.Second || len(f.sends) < 4 || len(f.sends) > 7 {
			t.Errorf("%d sends in %v", len(f.sends), took)
		}
	})
}

// Each part says which nodes it was for.
func TestTheRefusedNodeIsFound(t *testing.T) {
	invalid, lost := apiError("InvalidInstanceId"), context.DeadlineExceeded
	listed := func(ids ...string) (all []types.InstanceInformation) {
		for _, id := range ids {
			all = append(all, types.InstanceInformation{InstanceId: aws.String(id)})
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		ids   string
		nodes []types.InstanceInformation
		errs  []error
		sends []string
		want  []string
	}{
		{"none is", "a b", nil, nil, []string{"a b"}, []string{"a b: c0"}},
		{
			"one that SSM does not list", "a b c", listed("a", "c"),
			[]error{invalid, invalid},
			[]string{"a b c", "b", "a c"},
			[]string{"node b: SendCommand: api error InvalidInstanceId: says SSM", "a c: c2"},
		},
		{
			"one that it lists all the same", "a b c", listed("a", "b", "c"),
			[]error{invalid, nil, invalid, invalid},
			[]string{"a b c", "a", "b c", "b", "c"},
			[]string{"a: c1", "node b: SendCommand: api error InvalidInstanceId: says SSM", "c: c4"},
		},
		{
			"one that it did not list yet, and then takes", "a b", listed("a"),
			[]error{invalid},
			[]string{"a b", "b", "a"},
			[]string{"b: c1", "a: c2"},
		},
		{
			"an answer that is lost on the way", "a b c", listed("a", "c"),
			[]error{invalid, invalid, lost},
			[]string{"a b c", "b", "a c"},
			[]string{"node b: SendCommand: api error InvalidInstanceId: says SSM", "SendCommand: context deadline exceeded"},
		},
		{"another error", "a b", nil, []error{apiError("InvalidDocument")}, []string{"a b"}, []string{"SendCommand: api error InvalidDocument: says SSM"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{sendErrs: tt.errs, nodes: tt.nodes}
			x := &Executor{Client: f, Nodes: f}
			var got, sends []string
			for _, s := range x.SendToAll(t.Context(), &ssm.SendCommandInput{InstanceIds: strings.Fields(tt.ids), Comment: aws.String("token")}) {
				got = append(got, strings.Join(s.Nodes, " ")+": "+s.CommandID)
				if s.Err != nil {
					got[len(got)-1] = s.Err.Error()
				}
			}
			for _, in := range f.sends {
				sends = append(sends, strings.Join(in.InstanceIds, " "))
				if *in.Comment != "token" {
					t.Errorf("a part was sent with the comment %q", *in.Comment)
				}
			}
			if !slices.Equal(got, tt.want) || !slices.Equal(sends, tt.sends) {
				t.Errorf("sent %q, got %q\nwant %q, %q", sends, got, tt.sends, tt.want)
			}
		})
	}
}

func TestTheSignalGoesToEveryChunk(t *testing.T) {
	f := &fake{}
	c := command(t, "cmd: serve\nresolved_signal: HUP\nmax_errors: '3'\nmax_concurrency: '1'\nstop_alarm: errors\ntimeout: 2h")
	targets := []amx.Target{{Key: KeyInstanceIDs, Values: slices.Repeat([]string{"i-0123456789abcdef0"}, 60)}}
	refused, err := (&Executor{Client: f}).Signal(t.Context(), Signal{Command: c, Entry: "3f2a9c0d1e2b4a5c", Run: runA, Targets: targets})
	if err != nil || len(refused) > 0 || len(f.sends) != 2 {
		t.Fatalf("%d sends, %v, %v", len(f.sends), refused, err)
	}
	in := f.sends[1]
	if len(in.InstanceIds) != 10 || *in.Comment != "amx-signal 3f2a9c0d1e2b4a5c "+runA+" SIGHUP serve" ||
		in.AlarmConfiguration != nil || *in.MaxErrors != "100%" || *in.MaxConcurrency != "100%" || !reflect.DeepEqual(in.Parameters["executionTimeout"], []string{"60"}) {
		t.Errorf("the request is %+v", in)
	}
	if _, ok := ParseToken(*in.Comment); ok {
		t.Error("a look would take the signal for the run")
	}
}

// A node that SSM has lost does not keep the others from being signalled.
func TestTheSignalGoesToTheNodesThatAreLeft(t *testing.T) {
	invalid := apiError("InvalidInstanceId")
	f := &fake{sendErrs: []error{invalid, invalid}, nodes: []types.InstanceInformation{{InstanceId: aws.String("a")}}}
	refused, err := (&Executor{Client: f, Nodes: f}).Signal(t.Context(), Signal{
		Command: command(t, "cmd: serve\nresolved_signal: HUP"), Entry: "3f2a9c0d1e2b4a5c", Run: runA,
		Targets: []amx.Target{{Key: KeyInstanceIDs, Values: []string{"a", "b"}}},
	})
	if err != nil || !slices.Equal(refused, []string{"b"}) || len(f.sends) != 3 || f.sends[2].InstanceIds[0] != "a" {
		t.Errorf("%d sends, %v, %v", len(f.sends), refused, err)
	}
}

// If there was no time to send a part, it was certainly not sent.
func TestASendWithoutTimeIsNoSend(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &fake{}
	_, err := (&Executor{Client: f}).Send(ctx, &ssm.SendCommandInput{})
	if err == nil || err.Error() != "SendCommand: context canceled" || Judge(err) != Unavailable || len(f.sends) > 0 {
		t.Errorf("%v, %d sends", err, len(f.sends))
	}
}

func TestTokens(t *testing.T) {
	long := Token{Entry: "3f2a9c0d1e2b4a5c", Run: runA, Chunk: 99, Chunks: 100, Command: strings.Repeat("x", 64)}
	if s := long.String(); len(s) != maxComment || len(long.signal("SIGVTALRM")) > maxComment {
		t.Errorf("%q has %d characters", s, len(s))
	}
	for text, want := range map[string]*Token{
		"amx 3f2a9c0d1e2b4a5c " + runA + " 1/2 restart-nginx":  {"3f2a9c0d1e2b4a5c", runA, 0, 2, "restart-nginx"},
		"amx 3f2a9c0d1e2b4a5c " + runA + " 2/2":                {"3f2a9c0d1e2b4a5c", runA, 1, 2, ""},
		"amx 3f2a9c0d1e2b4a5c " + runA + " 3/2 x":              nil,
		"amx 3f2a9c0d1e2b4a5c " + runA + " 0/2 x":              nil,
		"amx 3f2a9c0d1e2b4a5c " + runA:                         nil,
		"amx 3f2a " + runA + " 1/1 x":                          nil,
		"amx-signal 3f2a9c0d1e2b4a5c " + runA + " SIGTERM fix": nil,
		"restart nginx, please":                                nil,
		"":                                                     nil,
	} {
		got, ok := ParseToken(text)
		if ok != (want != nil) || ok && (got != *want || got.String() != strings.TrimSpace(text) && want.Command != "") {
			t.Errorf("%q: %+v, %v, want %+v", text, got, ok, want)
		}
	}
}

func TestRunIDsBeginWithTheirTime(t *testing.T) {
	id, err := NewRunID(noon, strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	if made, err := RunTime(id); err != nil || !made.Equal(noon) || len(id) != 26 {
		t.Errorf("%s was made at %v, %v", id, made, err)
	}
	if _, err := NewRunID(noon, strings.NewReader("")); err == nil || err.Error() != "making a run ID: EOF" {
		t.Errorf("without randomness: %v", err)
	}
	if _, err := RunTime("x"); err == nil || err.Error() != `run ID "x": ulid: bad data size when unmarshaling` {
		t.Errorf("no run ID: %v", err)
	}
}
