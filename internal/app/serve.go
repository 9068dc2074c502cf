package app

import (
	"context"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// A function is what Lambda invokes.
type function interface {
	handler() any // as lambda.Start takes it
}

// Serve begins a function and serves its invocations for as long as the process
// lives. It answers the exit code of one that cannot begin. out is the process's
// standard output, for metrics.
func Serve[F function](ctx context.Context, env Getenv, out io.Writer, begin func(context.Context, Getenv, *slog.Logger, io.Writer) (F, error)) int {
	log := lambdacontext.NewLogger()
	f, err := begin(ctx, env, log, out)
	if err != nil {
		log.ErrorContext(ctx, "init", "error", err.Error())
		if err := reportInitError(ctx, env, err); err != nil {
			log.ErrorContext(ctx, "init", "error", err.Error())
		}
		return 1
	}
	lambda.Start(f.handler())
	return 0
}
