package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// reportInitError tells Lambda why the function cannot begin, so that whoever
// invokes it reads that, and not only that the process has exited. The library
// has no call for it. Outside of Lambda there is nobody to tell.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror
func reportInitError(ctx context.Context, env Getenv, failed error) error {
	api := env("AWS_LAMBDA_RUNTIME_API")
	if api == "" {
		return nil
	}
	text, err := json.Marshal(map[string]any{
		"errorType": "InitError", "errorMessage": failed.Error(), "stackTrace": []string{},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api+"/2018-06-01/runtime/init/error", bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Lambda-Runtime-Function-Error-Type", "Runtime.InitError")
	// Lambda's own interface is never behind a proxy.
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		return fmt.Errorf("reporting the init error: %w", err)
	}
	return answer.Body.Close()
}
