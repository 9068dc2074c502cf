// Command worker is the Lambda function that handles what was put off on the
// queue, and hears from SSM which commands have ended.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/amx-lambda/amx/internal/app"
)

func main() {
	os.Exit(app.Serve(context.Background(), os.Getenv, os.Stdout, func(ctx context.Context, env app.Getenv, log *slog.Logger, out io.Writer) (*app.WorkerFunction, error) {
		return app.NewWorkerFunction(ctx, env, log, out, newReports)
	}))
}
