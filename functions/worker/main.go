// Command worker is the Lambda function that handles what was put off on the
// queue, and hears from SSM which commands have ended.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/amx-lambda/amx/internal/app"
)

func main() { os.Exit(run(context.Background(), os.Getenv)) }

// run serves invocations for as long as the process lives. It answers the exit
// code of a function that cannot begin.
func run(ctx context.Context, env app.Getenv) int {
	log := lambdacontext.NewLogger()
	f, err := app.NewWorkerFunction(ctx, env, log, os.Stdout)
	if err != nil {
		log.ErrorContext(ctx, "init", "error", err.Error())
		if err := app.ReportInitError(ctx, env, err); err != nil {
			log.ErrorContext(ctx, "init", "error", err.Error())
		}
		return 1
	}
	lambda.Start(f.Handle)
	return 0
}
